"""TensorFlow as used by the paper: a static graph with one gradient node for each row of the Hessian; or
tf.hessians."""

import numpy as np
import tensorflow.compat.v1 as tf

from .problem import compared_rows


def versions():
    return {"tensorflow": tf.__version__}


def cost_of(network, theta, x, y):
    a = x
    for layer in network.layers():
        h = a @ tf.transpose(tf.reshape(theta[layer.weights], (layer.units, layer.inputs))) + theta[layer.bias]
        beta = theta[layer.beta] if layer.beta else 1.0
        a = {"esp": lambda: h * tf.sigmoid(beta * h), "sigmoid": lambda: tf.sigmoid(h), "relu": lambda: tf.nn.relu(h),
             "linear": lambda: beta * h}[layer.activation]()
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=a))


def prepare(work, problem, threads, method=""):
    """`method`: "loop" is tf.hessians, whose graph computes the rows in a loop."""
    if work != "hessian" or problem.networks != 1:
        raise NotImplementedError(work)
    tf.disable_eager_execution()
    theta = tf.placeholder(tf.float64, problem.theta[0].shape)
    x, y = tf.placeholder(tf.float64, problem.x.shape), tf.placeholder(tf.float64, problem.y.shape)
    cost = cost_of(problem.network, theta, x, y)
    if method == "loop":
        matrix, = tf.hessians(cost, theta)
    else:
        gradient, = tf.gradients(cost, theta)
        matrix = tf.stack([tf.gradients(gradient[i], theta)[0] for i in range(problem.network.parameters)])
    session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads))
    feed = {theta: problem.theta[0], x: problem.x, y: problem.y}
    session.run(matrix, feed)  # the first run prepares the graph
    rows = compared_rows(problem.network.parameters)
    return (lambda: session.run(matrix, feed)), lambda h: {"hessian": np.asarray(h)[None, rows]}
