// Writes a Linux x86-64 executable of one loadable segment: an ELF header, one program header, machine code.
//
// For programs of a few dozen instructions that a guest needs and that no package has. Source: System V ABI, chapters 4
// and 5 (ELF), and its AMD64 supplement.

/// Machine code wrapped as a static ELF64 executable.
struct StaticExecutable {
    /// Position-independent machine code, entered at its first byte with the stack as execve leaves it.
    let code: [UInt8]

    /// Where the file is mapped; the customary base of static programs.
    private static let base: UInt64 = 0x40_0000
    private static let headerSize = 64 + 56

    /// The executable file.
    var file: [UInt8] {
        let size = UInt64(Self.headerSize + code.count)
        var file: [UInt8] = [
            0x7F, 0x45, 0x4C, 0x46,  // magic
            2, 1, 1, 0,  // 64-bit, little-endian, version 1, System V
            0, 0, 0, 0, 0, 0, 0, 0,
        ]
        func append<Number: FixedWidthInteger>(_ value: Number) {
            withUnsafeBytes(of: value.littleEndian) { file.append(contentsOf: $0) }
        }
        append(UInt16(2))  // e_type: ET_EXEC
        append(UInt16(62))  // e_machine: EM_X86_64
        append(UInt32(1))  // e_version
        append(Self.base + UInt64(Self.headerSize))  // e_entry
        append(UInt64(64))  // e_phoff
        append(UInt64(0))  // e_shoff: no sections
        append(UInt32(0))  // e_flags
        append(UInt16(64))  // e_ehsize
        append(UInt16(56))  // e_phentsize
        append(UInt16(1))  // e_phnum
        append(UInt16(64))  // e_shentsize
        append(UInt16(0))  // e_shnum
        append(UInt16(0))  // e_shstrndx

        append(UInt32(1))  // p_type: PT_LOAD
        append(UInt32(5))  // p_flags: readable and executable
        append(UInt64(0))  // p_offset
        append(Self.base)  // p_vaddr
        append(Self.base)  // p_paddr
        append(size)  // p_filesz
        append(size)  // p_memsz
        append(UInt64(0x1000))  // p_align
        return file + code
    }
}
