// Training against PyTorch in float64: 201 updates by each optimizer, with L2 term and decoupled weight
// decay, schedules, and mini-batches in the order of this project.

#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include <cmath>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr Index examples = 7;
constexpr std::int64_t updates = 201;
constexpr std::uint64_t seed = 5;

struct Case {
    std::string name;
    TrainingSettings settings;
    WeightDecay l2;
    std::vector<double> theta;  ///< after the updates
};

/// Numbers of PyTorch 2.15.0, printed by tests/oracle/pytorch_training.py, which has the optimizers'
/// arguments.
std::vector<Case> cases() {
    constexpr Optimizer descent = Optimizer::gradient_descent;
    constexpr RateSchedule constant = RateSchedule::constant;
    return {
        {"sgd",
         {.optimizer = descent, .learning_rate = 0.2, .schedule = constant},
         {},
         {1.0171190839349764, 0.10420466094900928, -0.2819977169592495, 0.2981034860236397,
          -0.6119820644342745, -0.20941078474994, 0.318559865720225, 0.7176398325836238,
          0.34635092308783366}},
        {"momentum",
         {.optimizer = descent, .learning_rate = 0.05, .schedule = constant, .momentum = 0.9},
         {},
         {2.242375620667612, -0.7922188602309219, -1.4270810897104105, 1.253541331920714, -1.154133055995613,
          -0.6429634141837578, 1.6838670618514187, 1.5071098491789408, 1.3734803412066758}},
        {"nesterov",
         {.optimizer = descent,
          .learning_rate = 0.05,
          .schedule = constant,
          .momentum = 0.9,
          .nesterov = true},
         {},
         {2.502013057448971, -0.9191445006169692, -1.415257399100403, 1.2818986336228504, -1.2927281446598589,
          -0.6071547416331373, 1.8285513771194724, 1.6395426758267602, 1.4720818543677825}},
        {"nesterov_l2_all",
         {.optimizer = descent,
          .learning_rate = 0.05,
          .schedule = constant,
          .momentum = 0.9,
          .nesterov = true},
         {0.01, DecayedParameters::all},
         {0.5420706682055993, -0.1537379294933172, -0.23077623966433275, 0.5465853123677509,
          -0.38914522493094067, 0.13511725888388884, 0.3079806070527126, 0.5761160789027704,
          0.12040908265941233}},
        {"adam_l2_weights",
         {.learning_rate = 0.02, .epsilon = 1e-30, .schedule = constant},
         {0.01, DecayedParameters::weights},
         {1.9009913076753913, -0.5922649604614588, -1.5040762772475382, 1.189535560853976,
          -0.9246745213521904, -0.660116055372086, 1.5104320321737708, 1.2725304374272297,
          1.1315436625851265}},
        {"adamw_all",
         {.optimizer = Optimizer::adamw,
          .learning_rate = 0.02,
          .beta1 = 0.8,
          .beta2 = 0.99,
          .epsilon = 1e-2,
          .schedule = constant,
          .weight_decay = {0.05, DecayedParameters::all}},
         {},
         {2.926440092485856, 1.4149106830039038, -1.9448419993631998, 0.8487868952103874, 0.6826280934188692,
          -1.2808253584829663, 1.1077773844983259, 1.5484883051411724, 0.7374564178246049}},
        {"adamw_weights_cosine",
         {.optimizer = Optimizer::adamw,
          .learning_rate = 0.05,
          .schedule = RateSchedule::cosine,
          .warmup = 20,
          .epochs = 201,
          .weight_decay = {0.1, DecayedParameters::weights}},
         {},
         {2.659071787880581, 0.2428797539523806, -1.8516938975212718, 0.7303963331233253,
          -0.17002509650071476, -0.9964885086343135, 0.9962792789146333, 1.1512530464094979,
          0.4926205269271659}},
        {"sgd_step",
         {.optimizer = descent,
          .learning_rate = 0.3,
          .decay_rate = 0.5,
          .decay_steps = 30,
          .schedule = RateSchedule::step},
         {},
         {0.889014478505154, 0.5406905378707626, -0.18105260342411775, 0.10895314618894683,
          -0.7159219831884925, -0.18707247852792594, 0.2976563653843296, 0.636583440073818,
          0.3257017937158751}},
        {"momentum_batches",
         {.optimizer = descent,
          .learning_rate = 0.02,
          .schedule = constant,
          .momentum = 0.8,
          .batch_size = 3},
         {},
         {0.8396649111712292, 0.6272344937354616, -0.14013129019848897, -0.14052159758730112,
          -0.6992333166289093, -0.12340495174423734, 0.3318199449522307, 0.0008020502814770549,
          0.25590630609507004}},
        {"adamw_batches",
         {.optimizer = Optimizer::adamw,
          .learning_rate = 0.02,
          .schedule = constant,
          .weight_decay = {0.02, DecayedParameters::all},
          .batch_size = 3},
         {},
         {0.8126591242845411, 0.7184537754071728, -0.08709010927614926, -0.17903752032844927,
          -0.6622647127119323, -0.17531505995037736, 0.47778275029774026, 0.46190062885926864,
          0.3980251747784404}},
    };
}

/// θ of 2-2-1 with tanh and the mean squared error of the data in pytorch_training.py.
template <class C>
std::vector<double> trained(C& context, const Case& c) {
    std::vector<double> x, y, theta;
    for (int j = 0; j < 2; ++j)
        for (int e = 0; e < examples; ++e) x.push_back(std::sin(1 + j + 2 * e));
    for (int e = 0; e < examples; ++e) y.push_back(std::cos(3 * e));
    for (int p = 0; p < 9; ++p) theta.push_back(std::sin(p + 1));
    const Network network({.widths = {2, 2, 1},
                           .hidden_activations = {Activation::tanh},
                           .loss = Loss::mean_squared_error,
                           .l2 = c.l2});
    Trainer<C> trainer(
        context, network,
        {make_view(std::as_const(x).data(), 2, examples), make_view(std::as_const(y).data(), 1, examples)},
        {}, c.settings, theta, {}, {seed});
    trainer.advance_to(updates / trainer.updates_per_epoch());
    return fetch(context, trainer.theta().data, 9);
}

TEST(PyTorchTraining, SameParametersAfterManyUpdates) {
    CpuContext cpu(2);
    test::EmulatedContext device(1);
    for (const Case& c : cases()) {
        const std::vector<double> on_cpu = trained(cpu, c);
        // A change of a target by 2e-16 changes these numbers of PyTorch by up to some 1e-15.
        for (std::size_t p = 0; p < 9; ++p) EXPECT_NEAR(on_cpu[p], c.theta[p], 1e-12) << c.name << ", " << p;
        EXPECT_EQ(trained(device, c), on_cpu) << c.name;
    }
}

}  // namespace
}  // namespace espectra
