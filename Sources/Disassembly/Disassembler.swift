// Machine code as text, by Capstone (https://www.capstone-engine.org), which is loaded when it is first needed: the
// build and everything that shows no code do without it.

import Glibc

/// Why there is no disassembler.
public struct DisassemblyError: Error, CustomStringConvertible {
    /// One line.
    public let description: String
}

/// Disassembles x86 code in Intel's syntax. Not for several threads at once.
public final class Disassembler {
    /// What code is decoded as; the raw values are Capstone's.
    public enum Mode: Int32, CaseIterable, Sendable {
        /// 16-bit code.
        case code16 = 2
        /// 32-bit code.
        case code32 = 4
        /// 64-bit code.
        case code64 = 8
    }

    /// One instruction.
    public struct Instruction {
        /// In bytes.
        public var length: Int
        /// Mnemonic and operands.
        public var text: String
    }

    private typealias Open = @convention(c) (Int32, Int32, UnsafeMutablePointer<UInt>) -> Int32
    private typealias Disassemble =
        @convention(c) (UInt, UnsafePointer<UInt8>, Int, UInt64, Int, UnsafeMutablePointer<UnsafeRawPointer?>) -> Int
    private typealias Free = @convention(c) (UnsafeRawPointer, Int) -> Void

    private static let x86: Int32 = 3
    // In cs_insn: id, address, size, then the bytes, of which there are as many as the version has.
    private static let sizeOffset = 16
    private static let bytesOffset = 18
    private static let mnemonicSize = 32
    /// The libraries, each with the size of cs_insn.bytes.
    private static let libraries = [("libcapstone.so.5", 24), ("libcapstone.so.4", 16)]

    private let disassemble: Disassemble
    private let free: Free
    private let handles: [Mode: UInt]
    private let mnemonicOffset: Int

    /// Loads the library.
    ///
    /// - Throws: `DisassemblyError` that names the missing package.
    public init() throws(DisassemblyError) {
        var found: (library: UnsafeMutableRawPointer, bytes: Int)?
        for (name, bytes) in Self.libraries where found == nil {
            if let library = dlopen(name, RTLD_NOW) { found = (library, bytes) }
        }
        guard let found else {
            throw DisassemblyError(
                description: "showing code needs Capstone: install Debian's package libcapstone4 (or libcapstone5)")
        }
        guard let open = dlsym(found.library, "cs_open"), let disassemble = dlsym(found.library, "cs_disasm"),
            let free = dlsym(found.library, "cs_free")
        else { throw DisassemblyError(description: "Capstone's library lacks functions of its manual") }
        // SAFETY: the functions' types are those of capstone.h in versions 4 and 5.
        self.disassemble = unsafeBitCast(disassemble, to: Disassemble.self)
        self.free = unsafeBitCast(free, to: Free.self)
        let openHandle = unsafeBitCast(open, to: Open.self)
        var handles: [Mode: UInt] = [:]
        for mode in Mode.allCases {
            var handle: UInt = 0
            guard openHandle(Self.x86, mode.rawValue, &handle) == 0 else {
                throw DisassemblyError(description: "Capstone was built without x86")
            }
            handles[mode] = handle
        }
        self.handles = handles
        mnemonicOffset = Self.bytesOffset + found.bytes
    }

    /// The first instruction in `bytes`; nil if they are none.
    public func instruction(_ bytes: [UInt8], at address: UInt64, mode: Mode = .code64) -> Instruction? {
        guard let handle = handles[mode] else { return nil }
        var out: UnsafeRawPointer?
        let count = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { disassemble(handle, $0, bytes.count, address, 1, &out) } ?? 0
        }
        guard count == 1, let out else { return nil }
        defer { free(out, count) }
        // SAFETY: cs_disasm has filled one cs_insn, whose two texts end with 0.
        let mnemonic = (out + mnemonicOffset).assumingMemoryBound(to: CChar.self)
        var text = String(cString: mnemonic)
        let operands = String(cString: mnemonic + Self.mnemonicSize)
        if !operands.isEmpty { text += " " + operands }
        return Instruction(length: Int((out + Self.sizeOffset).load(as: UInt16.self)), text: text)
    }
}
