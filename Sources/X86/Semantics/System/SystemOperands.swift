// Operands of system instructions: selectors, far pointers, and integers whose width is known only at run time.

import CPrimitives

extension CPU {
    @inline(__always) func isMemoryOperand(_ i: Instruction) -> Bool { i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 }

    /// Loads `size` (1, 2, 4 or 8) bytes with the current privilege.
    func loadInteger(_ linear: UInt64, size: Int) throws(GuestFault) -> UInt64 {
        switch size {
        case 1: UInt64(try load(UInt8.self, linear))
        case 2: UInt64(try load(UInt16.self, linear))
        case 4: UInt64(try load(UInt32.self, linear))
        default: try load(UInt64.self, linear)
        }
    }

    /// Stores `size` (1, 2, 4 or 8) bytes with the current privilege.
    func storeInteger(_ value: UInt64, _ linear: UInt64, size: Int) throws(GuestFault) {
        switch size {
        case 1: try store(UInt8(truncatingIfNeeded: value), linear)
        case 2: try store(UInt16(truncatingIfNeeded: value), linear)
        case 4: try store(UInt32(truncatingIfNeeded: value), linear)
        default: try store(value, linear)
        }
    }

    /// Writes the low `width` bytes of a general register, by the rules of partial registers.
    func setRegister(_ offset: UInt8, width: UInt8, to value: UInt64) {
        switch width {
        case 1: setRegister(offset, to: UInt8(truncatingIfNeeded: value))
        case 2: setRegister(offset, to: UInt16(truncatingIfNeeded: value))
        case 4: setRegister(offset, to: UInt32(truncatingIfNeeded: value))
        default: setRegister(offset, to: value)
        }
    }

    /// A 16-bit r/m operand.
    func selectorOperand(_ i: Instruction) throws(GuestFault) -> UInt16 {
        guard isMemoryOperand(i) else { return register(i.pointee.rm, as: UInt16.self) }
        return try load(UInt16.self, try linearAddress(i, size: 2, .read))
    }

    /// Stores 16 bits as MOV r/m, Sreg and SLDT do: memory gets two bytes, a register its operand size, zero-extended.
    func storeSelector(_ value: UInt16, _ i: Instruction) throws(GuestFault) {
        guard isMemoryOperand(i) else { return setRegister(i.pointee.rm, width: i.pointee.width, to: UInt64(value)) }
        try store(value, try linearAddress(i, size: 2, .write))
    }

    /// A far pointer in memory: the offset in the operand's width, then the selector.
    func farPointerOperand(_ i: Instruction) throws(GuestFault) -> (offset: UInt64, selector: UInt16) {
        guard isMemoryOperand(i) else { throw .invalidOpcode }
        let width = Int(i.pointee.width)
        let linear = try linearAddress(i, size: width + 2, .read)
        let offset = try loadInteger(linear, size: width)
        let next = in64BitMode ? linear &+ UInt64(width) : (linear &+ UInt64(width)) & 0xffff_ffff
        return (offset, try load(UInt16.self, next))
    }

    /// #GP(0) unless CPL is 0.
    @inline(__always) func requirePrivilege() throws(GuestFault) {
        if cpl != 0 { throw .generalProtection() }
    }

    /// #UD unless the model offers the feature.
    @inline(__always) func require(_ feature: Feature) throws(GuestFault) {
        if !has(feature) { throw .invalidOpcode }
    }

    /// The instructions that CR4.UMIP keeps from user mode.
    func requireUserModeInformation() throws(GuestFault) {
        if cpl > 0 && state.pointee.cr4 & CR4.umip != 0 { throw .generalProtection() }
    }

    /// Sets ZF alone.
    func setZF(_ set: Bool) {
        if set {
            state.pointee.arithmetic |= UInt64(TZ_FLAG_ZF)
        } else {
            state.pointee.arithmetic &= ~UInt64(TZ_FLAG_ZF)
        }
    }

    /// Asks the run loop to look at `activity` and pending traps.
    func stopForAttention() {
        _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_STOP))
        endBlock()
    }
}
