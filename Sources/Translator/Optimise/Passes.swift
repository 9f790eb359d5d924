// The passes over a block's operations, in the order in which they are applied: each by itself, so that it can be tested
// and shown alone.

/// The optimiser.
enum Passes {
    static let all: [(name: String, apply: @Sendable (inout [Operation]) -> Void)] = [
        ("flag plan", { FlagPlan.apply(to: &$0) }), ("probe plan", { ProbePlan.apply(to: &$0) }),
        ("micro-TLB plan", { MicroTLBPlan.apply(to: &$0) }),
    ]

    static func apply(to operations: inout [Operation]) {
        for pass in all { pass.apply(&operations) }
    }
}
