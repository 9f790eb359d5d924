// VGATHER and VPGATHER: each element by a probe of its own. None of the registers changes before all elements are there; what a
// probe does not settle, even for an element that the mask leaves out, the handler does from the beginning.

import CPrimitives
import X86

extension BlockEncoder {
    mutating func emitGather(_ operation: Operation) {
        let i = operation.instruction
        let gather = Gather(i)
        let (destination, mask) = (i.pointee.reg, i.pointee.vvvv)
        // vmovups [indices], index
        emitVEX(
            0x11, map: 1, prefix: 0, isLong: gather.isLong, reg: i.pointee.vectorIndex, vvvv: 0,
            .memory(Host.state, StateLayout.gatherIndices))
        var failed: [UnsafeMutablePointer<UInt8>] = []
        for n in 0..<gather.count {
            emitElementAddress(i, at: StateLayout.gatherIndices + Int32(n * gather.indexSize), gather)
            failed.append(emitProbe(operation, size: Int32(gather.element), write: false))
            code.load(Host.address, .memory(Host.address, 0), width: UInt8(gather.element))
            code.store(
                Host.address, .memory(Host.state, StateLayout.gathered + Int32(n * gather.element)),
                width: UInt8(gather.element))
        }
        // vblendvps or vblendvpd destination, destination, [gathered], mask
        emitVEX(
            gather.element == 8 ? 0x4b : 0x4a, map: 3, prefix: 1, isLong: gather.count * gather.element == 32,
            reg: destination, vvvv: destination, .memory(Host.state, StateLayout.gathered))
        code.byte(mask << 4)
        // vpxor mask, mask, mask
        emitVEX(0xef, map: 1, prefix: 1, isLong: false, reg: mask, vvvv: mask, .register(mask))
        let isDone = code.shortJump()
        for displacement in failed { code.land(displacement) }
        slowPaths.append(SlowPath(displacement: code.jump(), operation: operation, flags: destroyedFlags))
        code.landShort(isDone)
    }

    /// The linear address of the element whose index lies in the state, into the address register.
    private mutating func emitElementAddress(
        _ i: UnsafeMutablePointer<tz_instruction>, at place: Int32, _ gather: Gather
    ) {
        // Sign-extended: movsxd
        code.instruction(
            HostEncoding(gather.indexSize == 8 ? 0x8b : 0x63, w: true), reg: Host.spare, .memory(Host.state, place))
        let (scale, displacement) = (i.pointee.scale, i.pointee.displacement)
        let hasBase = i.pointee.base != UInt8(TZ_ZERO_OFFSET)
        let operand: HostOperand =
            hasBase
            ? .indexed(baseRegister(i.pointee.base / 8), Host.spare, scale, displacement)
            : .scaled(Host.spare, scale, displacement)
        code.lea(Host.address, operand, wide: i.pointee.address_mask == .max)
        emitSegmentBase(i)
    }

    private mutating func emitVEX(
        _ opcode: UInt8, map: UInt8, prefix: UInt8, isLong: Bool, reg: UInt8, vvvv: UInt8, _ rm: HostOperand
    ) {
        var encoding = HostEncoding(opcode, map: map)
        encoding.vex = (vvvv, isLong, prefix)
        code.instruction(encoding, reg: reg, rm)
    }
}
