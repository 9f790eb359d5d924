// The target descriptions that GDB is offered. It asks for one when it connects, and lays out all register packets by it;
// a CPU that changes its mode later keeps the one that was asked for. So the standard is that of 64-bit mode, into which
// the registers of every mode fit.

/// A description: an architecture and its registers, numbered in order.
struct TargetDescription: Sendable {
    let architecture: String
    let features: [RegisterFeature]
    let registers: [Register]

    private init(architecture: String, features: [RegisterFeature]) {
        self.architecture = architecture
        self.features = features
        registers = features.flatMap(\.registers)
    }

    private static func make(_ architecture: String, long: Bool) -> TargetDescription {
        var features: [RegisterFeature] = [.core(long: long), .sse(long: long)]
        if long { features.append(.segments) }
        features += [.avx(long: long), .system(long: long)]
        return TargetDescription(architecture: architecture, features: features)
    }

    /// Every description by the name of its architecture; the first is the standard one. GDB disassembles by it.
    static let all = [make("i386:x86-64", long: true), make("i386", long: false), make("i8086", long: false)]

    /// The XML document (GDB manual, appendix G).
    var xml: String {
        var text = "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">"
        text += "<architecture>\(architecture)</architecture>"
        for feature in features {
            text += "<feature name=\"\(feature.name)\">\(feature.types)"
            for register in feature.registers {
                text += "<reg name=\"\(register.name)\" bitsize=\"\(register.bits)\" type=\"\(register.type)\"/>"
            }
            text += "</feature>"
        }
        return text + "</target>"
    }
}
