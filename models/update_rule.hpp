#pragma once

#include "espectra/kernels/optimizer.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/training_settings.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

namespace espectra {

/// The optimizer of R networks with its moments, and the learning rates of each. The context has to outlive
/// it.
template <Backend B>
class UpdateRule {
  public:
    /// `of_replicas` are the settings of each replica, as far as they may differ, or empty.
    UpdateRule(B& context, const Network& network, Index replicas, const TrainingSettings& settings,
               std::vector<TrainingSettings> of_replicas, std::int64_t updates_per_epoch)
        : context_(&context),
          replicas_(replicas),
          parameters_(network.parameters()),
          updates_per_epoch_(updates_per_epoch),
          settings_(settings),
          rate_settings_(of_replicas.empty() ? std::vector{settings} : std::move(of_replicas)),
          stopped_(rate_settings_.size(), false) {
        require_consistent(settings);
        if (rate_settings_.size() > 1)
            require_equal("settings of replicas", replicas, static_cast<long long>(rate_settings_.size()));
        rates_ = Buffer<double, B::space>(context, std::ssize(rate_settings_) * rate_segment);
        const bool descent = settings_.optimizer == Optimizer::gradient_descent;
        const Index size = replicas * parameters_;
        const std::vector<double> zeros(static_cast<std::size_t>(size), 0.0);
        first_moment_ = Buffer<double, B::space>(context, descent && settings_.momentum == 0 ? 0 : size);
        second_moment_ = Buffer<double, B::space>(context, descent ? 0 : size);
        for (auto* moment : {&first_moment_, &second_moment_})
            copy(context, zeros.data(), moment->data(), moment->size());
        std::vector<double> decay;
        if (settings_.optimizer == Optimizer::adamw) {
            decay = network.decay_coefficients(settings_.weight_decay);
            decay.resize(static_cast<std::size_t>(parameters_), 0.0);
            corrections_ = Buffer<double, B::space>(context, 2 * rate_segment);
        }
        decay_ = Buffer<double, B::space>(context, std::ssize(decay));
        copy(context, decay.data(), decay_.data(), decay_.size());
        context.synchronize();
    }

    /// Copies the rates of the segment that begins with update t to the device. The host waits until those of
    /// the segment before have been copied.
    void load_rates(std::int64_t t) {
        std::vector<double> rates;
        for (std::size_t r = 0; r < rate_settings_.size(); ++r)
            for (Index i = 0; i < rate_segment; ++i)
                rates.push_back(stopped_[r] ? 0.0
                                            : update_rate(rate_settings_[r], t + i, updates_per_epoch_));
        send(*context_, rates.data(), rates_.data(), rates_.size());
        if (settings_.optimizer != Optimizer::adamw) return;
        std::vector<double> corrections;
        for (Index i = 1; i <= rate_segment; ++i)
            corrections.push_back(1.0 - std::pow(settings_.beta1, static_cast<double>(t + i)));
        for (Index i = 1; i <= rate_segment; ++i)
            corrections.push_back(std::sqrt(1.0 - std::pow(settings_.beta2, static_cast<double>(t + i))));
        send(*context_, corrections.data(), corrections_.data(), corrections_.size());
    }

    /// Gives a replica, which has settings of its own, the rate 0 in the segments that are loaded from now
    /// on: no update changes its θ then.
    void stop(Index replica) {
        require_equal("settings of replicas", replicas_, static_cast<long long>(rate_settings_.size()));
        stopped_[static_cast<std::size_t>(replica)] = true;
    }

    /// Updates θ [R, P] with the gradient [R, P]. `counter` [1]: updates done.
    void step(View<const std::int64_t, 1, B::space> counter, View<const double, 2, B::space> gradient,
              View<double, 2, B::space> theta) {
        switch (settings_.optimizer) {
            case Optimizer::adam:
                adam_step(*context_, {.beta1 = settings_.beta1,
                                      .beta2 = settings_.beta2,
                                      .epsilon = settings_.epsilon,
                                      .rates = rates(),
                                      .counter = counter,
                                      .gradient = gradient,
                                      .theta = theta,
                                      .first_moment = first_moment(),
                                      .second_moment = second_moment()});
                break;
            case Optimizer::adamw:
                adamw_step(*context_, {.beta1 = settings_.beta1,
                                       .beta2 = settings_.beta2,
                                       .epsilon = settings_.epsilon,
                                       .decay = decay_.view(parameters_),
                                       .rates = rates(),
                                       .corrections = corrections_.view(2, rate_segment),
                                       .counter = counter,
                                       .gradient = gradient,
                                       .theta = theta,
                                       .first_moment = first_moment(),
                                       .second_moment = second_moment()});
                break;
            case Optimizer::gradient_descent:
                if (settings_.momentum == 0)
                    gradient_descent_step(
                        *context_,
                        {.rates = rates(), .counter = counter, .gradient = gradient, .theta = theta});
                else
                    momentum_step(*context_, {.momentum = settings_.momentum,
                                              .nesterov = settings_.nesterov,
                                              .rates = rates(),
                                              .counter = counter,
                                              .gradient = gradient,
                                              .theta = theta,
                                              .velocity = first_moment()});
        }
    }

    /// The rates [R, rate_segment] of the segment.
    View<const double, 2, B::space> rates() const {
        return rate_settings_.size() > 1 ? rates_.view(replicas_, rate_segment)
                                         : share(rates_.view(rate_segment), replicas_);
    }
    /// Moments [R, P], empty where the optimizer has none; of momentum the velocity is the first.
    View<double, 2, B::space> first_moment() { return first_moment_.view(replicas_, parameters_); }
    View<double, 2, B::space> second_moment() { return second_moment_.view(replicas_, parameters_); }

    /// Doubles that it takes on its device, or more.
    static Index doubles(Index parameters, Index replicas) {
        return replicas * (2 * parameters + rate_segment) + parameters + 2 * rate_segment;
    }

  private:
    B* context_;
    Index replicas_, parameters_;
    std::int64_t updates_per_epoch_;
    TrainingSettings settings_;                    // except the rates
    std::vector<TrainingSettings> rate_settings_;  // one per replica, or one for all
    std::vector<bool> stopped_;                    // likewise
    Buffer<double, B::space> rates_, first_moment_, second_moment_;
    Buffer<double, B::space> decay_, corrections_;  // of adamw
};

}  // namespace espectra
