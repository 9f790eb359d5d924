// The blocks of a run that was recorded, as what shows them wants them: by address, or the hottest ones.

import CPrimitives
import X86

/// All blocks that were translated in a run.
package struct TranslationRecord {
    private let blocks: [RecordedBlock]
    private let model: CPUModel?
    /// Guest instructions that translated blocks began to execute.
    package let instructions: UInt64

    init(_ blocks: [RecordedBlock], model: CPUModel?) {
        self.blocks = blocks.sorted { ($0.key.linear, $0.key.mode) < ($1.key.linear, $1.key.mode) }
        self.model = model
        instructions = blocks.reduce(0) { $0 &+ $1.instructions }
    }

    /// Number of blocks.
    package var count: Int { blocks.count }

    /// Those with code at an address in a range, in the order of their addresses.
    package func blocks(in range: Range<UInt64>) -> [ExplainedBlock] {
        explain(
            blocks.filter {
                $0.key.linear < range.upperBound && $0.key.linear &+ UInt64($0.key.guest.count) > range.lowerBound
            })
    }

    /// Those that executed the most instructions.
    package func hottest(_ count: Int) -> [ExplainedBlock] {
        explain(Array(blocks.sorted { $0.instructions > $1.instructions }.prefix(count)))
    }

    private func explain(_ chosen: [RecordedBlock]) -> [ExplainedBlock] {
        guard let model else { return [] }
        return chosen.map { block in
            let sources = blocks.filter { other in
                other.exits.contains { $0.target == block.key.linear && $0.isLinked }
            }
            return ExplainedBlock(block, linkedFrom: sources.map(\.key.linear), model)
        }
    }
}

extension RecordedBlock {
    var instructionCount: Int { source.instructionCount }
    var instructions: UInt64 { executions &* UInt64(instructionCount) }
}

/// A block and all that there is to say about it.
package struct ExplainedBlock {
    /// Linear address at which it was translated.
    package let address: UInt64
    /// Guest-physical address.
    package let physical: UInt64
    /// Bytes of an operand or address by default: 8 in 64-bit mode.
    package let codeWidth: Int
    package let isUser: Bool
    /// More than 1: blocks that follow one another behind jumps that are not taken, translated together.
    package let blockCount: Int
    /// The host code counts instructions for a budget.
    package let isCounted: Bool
    /// Guest instructions, each in bytes.
    package let guest: [[UInt8]]
    package let executions: UInt64
    /// How often it was translated, on all vCPUs.
    package let translations: Int
    package let stages: [OperationStage]
    package let host: HostCode
    /// Direct jumps out: where to, and whether they lead to a block's code or to the dispatcher.
    package let linksOut: [(target: UInt64, isLinked: Bool)]
    /// Addresses of the blocks whose direct jumps lead here.
    package let linksIn: [UInt64]

    fileprivate init(_ block: RecordedBlock, linkedFrom sources: [UInt64], _ model: CPUModel) {
        address = block.key.linear
        physical = block.physical
        codeWidth = Int(BlockMode(block.key.mode).width)
        isUser = BlockMode(block.key.mode).isUser
        isCounted = block.counts
        executions = block.executions
        translations = block.translations
        host = HostCode(block.source)
        // Code that is there twice, with shared probes and without, has its jumps twice.
        var exits: [(target: UInt64, isLinked: Bool)] = []
        for exit in block.exits {
            if let known = exits.firstIndex(where: { $0.target == exit.target }) {
                exits[known].isLinked = exits[known].isLinked || exit.isLinked
            } else {
                exits.append((exit.target, exit.isLinked))
            }
        }
        linksOut = exits
        linksIn = sources
        let run = DecodedRun(
            block.key.guest, address: block.physical, mode: block.key.mode, model: model,
            limit: block.blockCount)
        var trace = Trace(run.block)
        for n in 1..<max(run.count, 1) where !trace.isFull { trace.append(run[n]) }
        stages = OperationStage.all(of: trace, Lowering(model: model))
        var position = 0
        var guest: [[UInt8]] = []
        for index in 0..<run.count {
            for n in 0..<Int(run[index].pointee.count) {
                let start = position
                position += Int(run[index].pointee.instructions[n].length)
                guest.append(Array(block.key.guest[start..<position]))
            }
        }
        self.guest = guest
        blockCount = run.count
    }
}
