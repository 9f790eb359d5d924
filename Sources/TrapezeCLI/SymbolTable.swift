// Names of guest addresses, from a file of the form of a kernel's System.map or of /proc/kallsyms: lines of address, type
// and name.

import Foundation

/// The symbols of a guest.
struct SymbolTable: Sendable {
    private struct Symbol {
        var address: UInt64
        var name: String
    }

    /// In the order of their addresses.
    private let symbols: [Symbol]

    /// Farther from a symbol than this, an address belongs to none.
    private static let farthest: UInt64 = 1 << 20

    init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure("symbols \(path): \(String(cString: strerror(errno)).lowercasedFirst)")
        }
        var symbols: [Symbol] = []
        for (number, line) in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).enumerated() {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let address = UInt64(words[0], radix: 16) else {
                throw Failure("symbols \(path), line \(number + 1): an address, a type and a name are wanted")
            }
            // Kernels have labels that are no place: offsets in per-CPU data, and the file's own marks.
            if address > 0xfff { symbols.append(Symbol(address: address, name: Self.word(words[2]))) }
        }
        guard !symbols.isEmpty else {
            throw Failure(
                "symbols \(path): no addresses; Debian's own System.map is a stub, see Docs/translator.md for another way"
            )
        }
        self.symbols = symbols.sorted { $0.address < $1.address }
    }

    /// kallsyms puts a module's name behind a tab.
    private static func word(_ text: Substring) -> String { String(text.prefix { $0 != "\t" && $0 != " " }) }

    /// The addresses from a symbol to the next; nil if there is no such symbol.
    func range(of name: String) -> Range<UInt64>? {
        guard let first = symbols.firstIndex(where: { $0.name == name }) else { return nil }
        let start = symbols[first].address
        let next = symbols[first...].first { $0.address > start }?.address ?? start &+ 1
        return start..<max(next, start &+ 1)
    }

    /// `name+0x10`; nil for an address that belongs to no symbol.
    func name(of address: UInt64) -> String? {
        var low = 0
        var high = symbols.count
        while low < high {
            let middle = (low + high) / 2
            if symbols[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let symbol = symbols[low - 1]
        let distance = address - symbol.address
        guard distance < Self.farthest else { return nil }
        return distance == 0 ? symbol.name : symbol.name + "+0x" + String(distance, radix: 16)
    }

    /// Names a little like one that is not there.
    var names: [String] { symbols.map(\.name) }
}
