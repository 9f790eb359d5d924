// What the translator makes of a few bytes of guest code, outside of any guest: what tests look at.

import CPrimitives
import X86

/// A block taken through decoding, lowering, the passes and encoding, with all that came of it.
package struct BlockDissection {
    /// What the code is translated for.
    package struct Circumstances {
        /// The mode, as in `Block.mode`.
        package var mode = DecodedRun.mode(isUser: false)
        /// Offset of the first instruction in its page.
        package var offset: UInt64 = 0x100
        /// Generated code counts instructions.
        package var counts = false
        /// Probes for groups have failed before.
        package var hasProbesApart = false

        /// Supervisor code in 64-bit mode that is not counted.
        package init() {}
    }

    /// The guest's instructions, each in bytes.
    package let instructions: [[UInt8]]
    package let stages: [OperationStage]
    /// The kind of each operation when all passes are done.
    package let kinds: [String]
    package let host: HostCode

    /// Every kind that there is.
    package static var allKinds: [String] { Operation.Kind.allCases.map { "\($0)" } }

    /// Translates as many of the bytes as make a block.
    package init(_ bytes: [UInt8], _ circumstances: Circumstances, model: CPUModel) {
        let run = DecodedRun(bytes, address: circumstances.offset, mode: circumstances.mode, model: model)
        let block = run.block
        let lowering = Lowering(model: model)
        stages = OperationStage.all(of: Trace(block), lowering)
        var operations: [Operation] = []
        lowering.lower(block, into: &operations)
        Passes.apply(to: &operations)
        kinds = operations.map { "\($0.kind)" }
        var position = 0
        instructions = operations.map { operation in
            let start = position
            position += Int(operation.instruction.pointee.length)
            return Array(bytes[start..<position])
        }

        // SAFETY: as much room as a block takes at most, and the gates.
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: CodeMemory.largestBlock + 4096)
        defer { memory.deallocate() }
        var gateCode = HostAssembler(at: memory)
        let gates = CodeMemory.Gates(&gateCode)
        let start = memory + 4096
        var encoder = BlockEncoder(
            at: start, gates: gates, mode: BlockMode(circumstances.mode), counts: circumstances.counts,
            firstLink: 0, hasProbesApart: circumstances.hasProbesApart)
        encoder.marks = []
        encoder.encode(operations, of: block)
        let stubs = encoder.code.cursor
        for (number, edge) in encoder.edges.enumerated() { _ = encoder.emitStub(edge, link: Int32(number)) }
        host = HostCode(HostCodeSource(encoder, from: start, stubs: stubs, operations, block: block))
    }
}
