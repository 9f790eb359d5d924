// An ELF file with nothing but symbols, by which GDB knows names and addresses in a kernel that comes without.

/// Symbols of code and data.
struct SymbolFile {
    struct Symbol {
        var name: String
        var address: UInt64
        var isCode: Bool
    }

    var symbols: [Symbol]

    /// Symbols from lines of /proc/kallsyms: address, type, name.
    init(kallsyms: String) {
        symbols = kallsyms.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.split(separator: " ")
            guard words.count >= 3, let address = UInt64(words[0], radix: 16) else { return nil }
            return Symbol(name: String(words[2]), address: address, isCode: words[1].lowercased() == "t")
        }
    }

    subscript(name: String) -> UInt64? { symbols.first { $0.name == name }?.address }

    /// The file: one section for code and one for data, both without contents, over all of the kernel's addresses.
    var bytes: [UInt8] {
        func integer(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        var strings: [UInt8] = [0]
        var table = [UInt8](repeating: 0, count: 24)
        for symbol in symbols {
            // st_name, st_info (STB_GLOBAL, STT_FUNC or STT_OBJECT), st_other, st_shndx, st_value, st_size
            table += integer(UInt64(strings.count), 4) + [symbol.isCode ? 0x12 : 0x11, 0]
            table += integer(symbol.isCode ? 1 : 2, 2) + integer(symbol.address, 8) + integer(8, 8)
            strings += Array(symbol.name.utf8) + [0]
        }
        var names: [UInt8] = [0]
        var headers = [UInt8](repeating: 0, count: 64)
        var offset: UInt64 = 64
        func section(
            _ name: String, type: UInt64, flags: UInt64 = 0, address: UInt64 = 0, size: UInt64, link: UInt64 = 0,
            info: UInt64 = 0, entrySize: UInt64 = 0
        ) {
            headers += integer(UInt64(names.count), 4) + integer(type, 4) + integer(flags, 8) + integer(address, 8)
            headers += integer(offset, 8) + integer(size, 8) + integer(link, 4) + integer(info, 4)
            headers += integer(8, 8) + integer(entrySize, 8)
            names += Array(name.utf8) + [0]
            if type != 8 { offset += size }
        }
        let first = symbols.filter(\.isCode).map(\.address).min() ?? 0
        let last = symbols.map(\.address).max() ?? 0
        section(".text", type: 8, flags: 6, address: first, size: last - first + 0x1000)
        section(".data", type: 8, flags: 3, address: first, size: last - first + 0x1000)
        section(".symtab", type: 2, size: UInt64(table.count), link: 4, info: 1, entrySize: 24)
        section(".strtab", type: 3, size: UInt64(strings.count))
        names += Array(".shstrtab".utf8) + [0]
        let nameOffset = UInt64(names.count - 10)
        headers += integer(nameOffset, 4) + integer(3, 4) + integer(0, 16) + integer(offset, 8)
        headers += integer(UInt64(names.count), 8) + integer(0, 8) + integer(1, 8) + integer(0, 8)
        offset += UInt64(names.count)

        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        file += integer(2, 2) + integer(62, 2) + integer(1, 4) + integer(first, 8)  // ET_EXEC, EM_X86_64
        file += integer(0, 8) + integer(offset, 8) + integer(0, 4)  // no program headers
        file += integer(64, 2) + integer(56, 2) + integer(0, 2) + integer(64, 2) + integer(6, 2) + integer(5, 2)
        return file + table + strings + names + headers
    }
}
