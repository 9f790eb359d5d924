// System instructions of supervisor code that generated code does by itself.

import CPrimitives

extension BlockEncoder {
    private static let interruptFlag: Int32 = 1 << 9

    /// CLI
    mutating func emitClearInterrupts(_ operation: Operation) {
        if operation.keepsFlags { saveFlags() }
        code.arithmetic(4, .memory(Host.state, StateLayout.systemFlags), ~Self.interruptFlag, wide: false)
        hostFlags = false
    }

    /// STI. If anything waits for the vCPU, its handler sets up the interrupt shadow and the block ends; otherwise whatever
    /// comes later is met by the poll after the next instruction.
    mutating func emitSetInterrupts(_ operation: Operation) {
        func emitHandlerUnlessEqual() {
            slowPaths.append(
                SlowPath(
                    displacement: code.jump(if: Condition.notEqual), operation: operation, flags: destroyedFlags,
                    leaves: true))
        }
        if operation.keepsFlags { saveFlags() }
        code.arithmetic(7, .memory(Host.state, StateLayout.attention), 0)
        emitHandlerUnlessEqual()
        code.instruction(HostEncoding(0x80), reg: 7, .memory(Host.state, StateLayout.interruptWaits))
        code.byte(0)
        emitHandlerUnlessEqual()
        code.arithmetic(1, .memory(Host.state, StateLayout.systemFlags), Self.interruptFlag, wide: false)
        hostFlags = false
    }

    /// SWAPGS
    mutating func emitSwapGS() {
        let base = HostOperand.memory(Host.state, StateLayout.effectiveBase + Int32(TZ_GS) * 8)
        let kernelBase = HostOperand.memory(Host.state, StateLayout.kernelGSBase)
        code.load(Host.address, base)
        code.load(Host.spare, kernelBase)
        code.store(Host.address, kernelBase)
        code.store(Host.spare, base)
        code.store(Host.spare, .memory(Host.state, StateLayout.gsBase))
    }
}
