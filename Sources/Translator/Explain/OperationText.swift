// Operations as text. What is set in an operation is found by reflection, so that whatever the passes come to note is
// shown under the name that it has in the source.

import X86

extension Operation {
    /// What stands first, or the instruction itself says.
    private static let plain: Set<String> = ["kind", "instruction", "offset", "remaining", "changedRegisters"]

    /// Kind and properties; those that are off are left out.
    var text: String {
        var words = ["\(kind)"]
        for child in Mirror(reflecting: self).children {
            guard let label = child.label, !Self.plain.contains(label) else { continue }
            switch child.value {
            case let flag as Bool: if flag { words.append(label) }
            case let slot as UInt8? where label == "microSlot":
                if let slot { words.append("micro=\(StateNames.microSlot(slot))") }
            case let probe as SharedProbe: words.append("\(label)=\(probe.text)")
            case let producer as FlagProducer:
                if producer.isKnown { words.append("\(label)=\(producer.text)") }
            case let use as FlagUse: if use != .none { words.append("\(label)=\(use)") }
            default:
                let text = "\(child.value)"
                if text != "0", text != "-1", text != "nil" { words.append("\(label)=\(text)") }
            }
        }
        return words.joined(separator: " ")
    }
}

extension FlagProducer {
    fileprivate var text: String {
        stackMoved == 0 ? "\(place)" : "\(place),RSP\(stackMoved < 0 ? "" : "+")\(stackMoved)"
    }
}

extension SharedProbe {
    /// The group's number and the distance from its first byte; for the access that probes, for how many bytes.
    fileprivate var text: String {
        "[\(slot)]+\(displacement)" + (probes ? ",probes \(span) bytes\(writes ? " for writing" : "")" : "")
    }
}

/// The operations of a block after one of the translator's stages.
package struct OperationStage: Sendable {
    /// `lowering`, or the pass.
    package let name: String
    /// The operations, one for each guest instruction.
    package let operations: [String]
}

extension OperationStage {
    /// All stages of a trace.
    static func all(of trace: Trace, _ lowering: Lowering) -> [OperationStage] {
        var operations: [Operation] = []
        lowering.lower(trace, into: &operations)
        var stages = [OperationStage(name: "lowering", operations: operations.map(\.text))]
        for pass in Passes.all {
            pass.apply(&operations)
            stages.append(OperationStage(name: pass.name, operations: operations.map(\.text)))
        }
        return stages
    }
}
