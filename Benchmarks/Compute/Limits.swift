// What is asked of an engine that stands where there is no KVM, as numbers. Speeds are compared as ratios of medians.

import ArgumentParser

/// The limits, each an option.
struct Limits: ParsableArguments {
    @Option(help: ArgumentHelp("The geometric mean of speeds relative to QEMU.", valueName: "ratio"))
    var meanAtLeast = 3.0

    @Option(help: ArgumentHelp("The geometric mean of times relative to native.", valueName: "ratio"))
    var nativeAtMost = 2.2

    @Option(help: ArgumentHelp("The speed of every kernel relative to QEMU.", valueName: "ratio"))
    var rowAtLeast = 0.95

    @Option(help: ArgumentHelp("The same for pointer chasing, where all wait for memory.", valueName: "ratio"))
    var chaseAtLeast = 0.85

    @Option(help: ArgumentHelp("The same for floating point.", valueName: "ratio"))
    var floatAtLeast = 8.0

    private static let float: Set<String> = ["nbody-sse2", "matrix-float", "mandelbrot-x87"]

    /// The least speed of a kernel relative to QEMU.
    func least(for kernel: String) -> Double {
        if kernel.hasPrefix("chase") { return chaseAtLeast }
        return Self.float.contains(kernel) ? floatAtLeast : rowAtLeast
    }
}
