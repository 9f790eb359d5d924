// A few host instructions, encoded: what stubs need around the guest instruction that they run.

import CPrimitives

/// General registers of the host by number.
enum HostRegister: UInt8 {
    case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11
}

/// Host machine code in the making.
struct HostCode {
    private(set) var bytes: [UInt8] = []

    mutating func emit(_ new: UInt8...) { bytes.append(contentsOf: new) }
    mutating func emit(_ new: [UInt8]) { bytes.append(contentsOf: new) }
    mutating func emit32(_ value: Int32) {
        for shift: Int32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    // MARK: Addressing

    /// ModRM and displacement of [rdi + offset] with `reg` in ModRM.reg.
    private mutating func state(_ reg: UInt8, _ offset: Int32) {
        emit(0x87 | (reg & 7) << 3)
        emit32(offset)
    }

    /// ModRM, SIB and displacement of [rdi + index + offset]; REX.X is the caller's.
    mutating func stateIndexed(_ reg: UInt8, _ index: HostRegister, _ offset: Int32) {
        emit(0x84 | (reg & 7) << 3, 0x07 | (index.rawValue & 7) << 3)
        emit32(offset)
    }

    /// An instruction of the 0F map on [rdi + offset], ModRM.reg an opcode extension.
    mutating func stateInstruction(_ opcode: UInt8, extension ext: UInt8, _ offset: Int, wide: Bool = false) {
        if wide { emit(0x48) }
        emit(0x0f, opcode)
        state(ext, Int32(offset))
    }

    // MARK: General registers

    /// mov to, [rdi + offset]
    mutating func load(_ to: HostRegister, state offset: Int) {
        emit(0x48 | (to.rawValue & 8) >> 1, 0x8b)
        state(to.rawValue, Int32(offset))
    }

    /// mov [rdi + offset], from
    mutating func store(_ from: HostRegister, state offset: Int) {
        emit(0x48 | (from.rawValue & 8) >> 1, 0x89)
        state(from.rawValue, Int32(offset))
    }

    /// movzx to, word [rdi + offset]
    mutating func load16(_ to: HostRegister, state offset: Int) {
        emit(0x40 | (to.rawValue & 8) >> 1, 0x0f, 0xb7)
        state(to.rawValue, Int32(offset))
    }

    /// mov word [rdi + offset], from
    mutating func store16(_ from: HostRegister, state offset: Int) {
        emit(0x66, 0x40 | (from.rawValue & 8) >> 1, 0x89)
        state(from.rawValue, Int32(offset))
    }

    /// mov dword [rdi + offset], value
    mutating func store32(_ value: Int32, state offset: Int) {
        emit(0xc7)
        state(0, Int32(offset))
        emit32(value)
    }

    /// movzx to, byte [rsi + field]: a register number of the instruction
    mutating func loadNumber(_ to: HostRegister, field: Int) {
        emit(0x40 | (to.rawValue & 8) >> 1, 0x0f, 0xb6, 0x46 | (to.rawValue & 7) << 3, UInt8(field))
    }

    /// shl register, count (32 bits)
    mutating func shiftLeft(_ register: HostRegister, _ count: UInt8) {
        emit(0x40 | (register.rawValue & 8) >> 3, 0xc1, 0xe0 | register.rawValue & 7, count)
    }

    /// and register, 7 (32 bits)
    mutating func keepThreeBits(_ register: HostRegister) {
        emit(0x40 | (register.rawValue & 8) >> 3, 0x83, 0xe0 | register.rawValue & 7, 7)
    }

    /// mov to, [rdi + rax * 8]: the guest's general register whose number is in RAX
    mutating func loadGPR(_ to: HostRegister) {
        emit(0x48 | (to.rawValue & 8) >> 1, 0x8b, 0x04 | (to.rawValue & 7) << 3, 0xc7)
    }

    /// mov [rdi + rax * 8], from
    mutating func storeGPR(_ from: HostRegister) {
        emit(0x48 | (from.rawValue & 8) >> 1, 0x89, 0x04 | (from.rawValue & 7) << 3, 0xc7)
    }

    /// mov r11, rdx
    mutating func moveMemoryPointer() { emit(0x49, 0x89, 0xd3) }

    /// test byte [rdi + offset], mask
    mutating func test(state offset: Int, mask: UInt8) {
        emit(0xf6)
        state(0, Int32(offset))
        emit(mask)
    }

    // MARK: Flags

    /// The guest's arithmetic flags into the host's, through RAX.
    mutating func restoreFlags() {
        load(.rax, state: Int(TZ_OFFSET_ARITHMETIC))
        emit(0x04, 127)  // add al, 127
        emit(0x9e)  // sahf
    }

    /// The host's arithmetic flags into the guest's, through RAX.
    mutating func saveFlags() {
        emit(0xb8, 0, 0, 0, 0)  // mov eax, 0
        emit(0x9f)  // lahf
        emit(0x0f, 0x90, 0xc0)  // seto al
        store(.rax, state: Int(TZ_OFFSET_ARITHMETIC))
    }

    // MARK: Vector registers

    /// movups between a vector register below 8 and [rdi + index + offset], with the VEX form for 16 or 32 bytes.
    mutating func moveVector(
        _ register: UInt8, _ index: HostRegister, _ offset: Int, store: Bool, vex: Bool, wide: Bool = false
    ) {
        if vex {
            emit(0xc4, index.rawValue & 8 != 0 ? 0xa1 : 0xe1, wide ? 0x7c : 0x78)
        } else {
            if index.rawValue & 8 != 0 { emit(0x42) }
            emit(0x0f)
        }
        emit(store ? 0x11 : 0x10)
        stateIndexed(register, index, Int32(offset))
    }

    /// The same for [rdi + offset].
    mutating func moveVector(_ register: UInt8, _ offset: Int, store: Bool, vex: Bool, wide: Bool = false) {
        if vex { emit(0xc5, wide ? 0xfc : 0xf8) } else { emit(0x0f) }
        emit(store ? 0x11 : 0x10)
        state(register, Int32(offset))
    }

    /// movq between an MMX register and [rdi + index + offset]
    mutating func moveMMX(_ register: UInt8, _ index: HostRegister, _ offset: Int, store: Bool) {
        if index.rawValue & 8 != 0 { emit(0x42) }
        emit(0x0f, store ? 0x7f : 0x6f)
        stateIndexed(register, index, Int32(offset))
    }

    /// mov word [rdi + index + offset], FFFFH
    mutating func setExponent(_ index: HostRegister, _ offset: Int) {
        emit(0x66)
        if index.rawValue & 8 != 0 { emit(0x42) }
        emit(0xc7)
        stateIndexed(0, index, Int32(offset))
        emit(0xff, 0xff)
    }

    mutating func zeroUpper() { emit(0xc5, 0xf8, 0x77) }
    mutating func returns() { emit(0xc3) }
}
