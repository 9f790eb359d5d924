// Conditions on the arithmetic flags, and the instructions that move or set flags: LAHF, SAHF, CLC, STC, CMC, CLD, STD,
// PUSHF and POPF, SETcc, CMOVcc.

import CPrimitives

/// Whether condition `code` (the low four bits of a Jcc, SETcc or CMOVcc opcode) holds for flags in LAHF and SETO format
/// (SDM volume 1, appendix B). With a constant `code` this is one or two host instructions.
@inline(__always)
func holds(_ code: UInt8, _ flags: UInt64) -> Bool {
    let less = (flags >> 15 ^ flags) & 1 != 0  // SF ≠ OF
    let result =
        switch code >> 1 & 7 {
        case 0: flags & UInt64(TZ_FLAG_OF) != 0
        case 1: flags & UInt64(TZ_FLAG_CF) != 0
        case 2: flags & UInt64(TZ_FLAG_ZF) != 0
        case 3: flags & UInt64(TZ_FLAG_CF | TZ_FLAG_ZF) != 0
        case 4: flags & UInt64(TZ_FLAG_SF) != 0
        case 5: flags & UInt64(TZ_FLAG_PF) != 0
        case 6: less
        default: less || flags & UInt64(TZ_FLAG_ZF) != 0
        }
    return result != (code & 1 != 0)
}

/// CMOVcc: the source is read, and the destination written (which clears the upper half of a 32-bit one), either way.
enum ConditionalMove: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let source = try cpu.readRM(i, T.self)
        let old = cpu.register(i.pointee.reg, as: T.self)
        cpu.setRegister(i.pointee.reg, to: holds(i.pointee.opcode, cpu.arithmetic) ? source : old)
    }
}

extension CPU {
    /// SETcc r/m8
    @inline(__always) func setByte(_ i: Instruction) throws(GuestFault) {
        try writeRM(i, UInt8(holds(i.pointee.opcode, arithmetic) ? 1 : 0))
    }

    /// LAHF
    @inline(__always) func loadFlagsIntoAH() {
        // Bit 1 is always set, bits 3 and 5 never.
        setRegister(1, to: UInt8(truncatingIfNeeded: arithmetic >> 8 & 0xd5 | 2))
    }

    /// SAHF
    @inline(__always) func storeAHIntoFlags() {
        let ah = UInt64(register(1, as: UInt8.self))
        arithmetic = arithmetic & UInt64(TZ_FLAG_OF) | (ah & 0xd5) << 8
    }

    /// PUSHF, PUSHFD, PUSHFQ (SDM volume 2): VM and RF are pushed as 0.
    func pushFlags<T: GuestInteger>(_ i: Instruction, _ type: T.Type) throws(GuestFault) {
        var image = rflags & ~(RFLAGS.vm | RFLAGS.rf)
        if virtual8086, iopl < 3 {
            guard MemoryLayout<T>.size == 2, state.pointee.cr4 & CR4.vme != 0 else { throw .generalProtection() }
            // Virtual-8086 mode extensions: the program sees IOPL 3 and the virtual interrupt flag.
            image |= RFLAGS.iopl
            image = image & RFLAGS.vif != 0 ? image | RFLAGS.if : image & ~RFLAGS.if
        }
        try pushOperand(T(truncatingIfNeeded: image))
    }

    /// POPF, POPFD, POPFQ: which flags change depends on mode, CPL and IOPL (SDM volume 2, POPF).
    func popFlags<T: GuestInteger>(_ i: Instruction, _ type: T.Type) throws(GuestFault) {
        var writable =
            RFLAGS.arithmetic | RFLAGS.tf | RFLAGS.df | RFLAGS.nt | RFLAGS.if | RFLAGS.iopl | RFLAGS.ac | RFLAGS.id
        if MemoryLayout<T>.size == 2 { writable &= 0xffff }
        let old = rflags
        let image = UInt64(try readStack(at: self[.rsp], T.self))
        var new: UInt64
        if virtual8086 {
            if iopl == 3 {
                new = old & ~(writable & ~RFLAGS.iopl) | image & writable & ~RFLAGS.iopl
            } else {
                guard MemoryLayout<T>.size == 2, state.pointee.cr4 & CR4.vme != 0 else { throw .generalProtection() }
                guard image & RFLAGS.tf == 0, image & RFLAGS.if == 0 || old & RFLAGS.vip == 0 else {
                    throw .generalProtection()
                }
                writable &= ~(RFLAGS.iopl | RFLAGS.if)
                new = old & ~(writable | RFLAGS.vif) | image & writable
                if image & RFLAGS.if != 0 { new |= RFLAGS.vif }
            }
        } else {
            if protectedMode, cpl > 0 {
                writable &= ~RFLAGS.iopl
                if cpl > iopl { writable &= ~RFLAGS.if }
            }
            new = old & ~writable | image & writable
        }
        new &= ~RFLAGS.rf
        setStackPointer(self[.rsp] &+ UInt64(MemoryLayout<T>.size))
        rflags = new
        refreshFlagDependents()
        endBlock()
    }
}

enum PushFlags: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        try cpu.pushFlags(i, T.self)
    }
}

enum PopFlags: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        try cpu.popFlags(i, T.self)
    }
}
