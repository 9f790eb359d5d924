// The registers that GDB knows, in its order and under its names, and where each lies in a vCPU's state.

import VirtualCPU

/// A register of a target description.
struct Register: Sendable {
    /// What it is.
    enum Kind: Equatable, Sendable {
        /// A general register by its encoding (0 RAX, 1 RCX, …).
        case general(Int)
        case rip
        case eflags
        /// The selector of a segment register by its encoding (0 ES, 1 CS, …).
        case selector(Int)
        /// ST(n), 80 bits.
        case st(Int)
        case x87(X87Field)
        /// The low 128 bits of a vector register.
        case xmm(Int)
        /// Bits 255:128 of a vector register.
        case ymmHigh(Int)
        case mxcsr
        /// The base of a segment register by its encoding.
        case base(Int)
        /// A model-specific register by its number.
        case msr(UInt32)
        /// CR0, CR2, CR3, CR4 or CR8.
        case control(Int)
    }

    /// Fields of the x87 environment, in GDB's order.
    enum X87Field: String, CaseIterable, Sendable {
        case fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop
    }

    let name: String
    let bits: Int
    /// A type of GDB's, or of the feature's.
    let type: String
    let kind: Kind

    var byteCount: Int { bits / 8 }
}

/// A part of a target description. The names that begin with org.gnu are GDB's, and so are the registers they must have
/// (GDB manual, appendix G.5.5, "i386 Features").
struct RegisterFeature: Sendable {
    let name: String
    /// XML that defines types.
    let types: String
    let registers: [Register]
}

extension RegisterFeature {
    /// General and x87 registers.
    static func core(long: Bool) -> RegisterFeature {
        let size = long ? 64 : 32
        // GDB numbers RBX before RCX, and puts RSI and RDI before RBP, in its 64-bit layout only.
        let order = long ? [0, 3, 1, 2, 6, 7, 5, 4] + Array(8..<16) : Array(0..<8)
        var registers = order.map { number in
            let type = number == 4 || number == 5 ? "data_ptr" : long ? "int64" : "int32"
            return Register(name: generalName(number, long: long), bits: size, type: type, kind: .general(number))
        }
        registers += [
            Register(name: long ? "rip" : "eip", bits: size, type: "code_ptr", kind: .rip),
            Register(name: "eflags", bits: 32, type: "i386_eflags", kind: .eflags),
        ]
        for (name, number) in [("cs", 1), ("ss", 2), ("ds", 3), ("es", 0), ("fs", 4), ("gs", 5)] {
            registers.append(Register(name: name, bits: 32, type: "int32", kind: .selector(number)))
        }
        registers += (0..<8).map { Register(name: "st\($0)", bits: 80, type: "i387_ext", kind: .st($0)) }
        registers += Register.X87Field.allCases.map {
            Register(name: $0.rawValue, bits: 32, type: "int", kind: .x87($0))
        }
        let flags = FlagsType(
            id: "i386_eflags", bytes: 4,
            fields: [
                ("CF", 0), ("", 1), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9), ("DF", 10),
                ("OF", 11), ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("VIF", 19), ("VIP", 20), ("ID", 21),
            ])
        return RegisterFeature(name: "org.gnu.gdb.i386.core", types: flags.xml, registers: registers)
    }

    private static func generalName(_ number: Int, long: Bool) -> String {
        guard number < 8 else { return "r\(number)" }
        return (long ? "r" : "e") + ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"][number]
    }

    /// XMM registers and MXCSR.
    static func sse(long: Bool) -> RegisterFeature {
        let vectors = [
            ("v4_float", "ieee_single", 4), ("v2_double", "ieee_double", 2),
            ("v16_int8", "int8", 16), ("v8_int16", "int16", 8), ("v4_int32", "int32", 4), ("v2_int64", "int64", 2),
        ]
        var types = ""
        for (name, element, count) in vectors {
            types += "<vector id=\"\(name)\" type=\"\(element)\" count=\"\(count)\"/>"
        }
        types += "<union id=\"vec128\">"
        for (name, _, _) in vectors { types += "<field name=\"\(name)\" type=\"\(name)\"/>" }
        types += "<field name=\"uint128\" type=\"uint128\"/></union>"
        let mxcsr = FlagsType(
            id: "i386_mxcsr", bytes: 4,
            fields: [
                ("IE", 0), ("DE", 1), ("ZE", 2), ("OE", 3), ("UE", 4), ("PE", 5), ("DAZ", 6), ("IM", 7), ("DM", 8),
                ("ZM", 9), ("OM", 10), ("UM", 11), ("PM", 12), ("FZ", 15),
            ])
        let registers = (0..<(long ? 16 : 8)).map {
            Register(name: "xmm\($0)", bits: 128, type: "vec128", kind: .xmm($0))
        }
        return RegisterFeature(
            name: "org.gnu.gdb.i386.sse", types: types + mxcsr.xml,
            registers: registers + [Register(name: "mxcsr", bits: 32, type: "i386_mxcsr", kind: .mxcsr)])
    }

    /// The upper halves of YMM registers.
    static func avx(long: Bool) -> RegisterFeature {
        RegisterFeature(
            name: "org.gnu.gdb.i386.avx", types: "",
            registers: (0..<(long ? 16 : 8)).map {
                Register(name: "ymm\($0)h", bits: 128, type: "uint128", kind: .ymmHigh($0))
            })
    }

    // A pointer's type would have 32 bits in a 32-bit description.
    private static let segmentBases = [
        Register(name: "fs_base", bits: 64, type: "int64", kind: .base(4)),
        Register(name: "gs_base", bits: 64, type: "int64", kind: .base(5)),
    ]

    /// FS.base and GS.base, which GDB knows in 64-bit mode.
    static let segments = RegisterFeature(name: "org.gnu.gdb.i386.segments", types: "", registers: segmentBases)

    /// What only a system's debugger sees: the other segment bases, control registers, EFER.
    static func system(long: Bool) -> RegisterFeature {
        let cr0 = FlagsType(
            id: "cr0_flags", bytes: 8,
            fields: [
                ("PE", 0), ("MP", 1), ("EM", 2), ("TS", 3), ("ET", 4), ("NE", 5), ("WP", 16), ("AM", 18), ("NW", 29),
                ("CD", 30), ("PG", 31),
            ])
        let cr4 = FlagsType(
            id: "cr4_flags", bytes: 8,
            fields: [
                ("VME", 0), ("PVI", 1), ("TSD", 2), ("DE", 3), ("PSE", 4), ("PAE", 5), ("MCE", 6), ("PGE", 7),
                ("PCE", 8), ("OSFXSR", 9), ("OSXMMEXCPT", 10), ("UMIP", 11), ("LA57", 12), ("VMXE", 13), ("SMXE", 14),
                ("FSGSBASE", 16), ("PCIDE", 17), ("OSXSAVE", 18), ("SMEP", 20), ("SMAP", 21), ("PKE", 22),
            ])
        let efer = FlagsType(
            id: "efer_flags", bytes: 8,
            fields: [("SCE", 0), ("LME", 8), ("LMA", 10), ("NXE", 11), ("SVME", 12), ("FFXSR", 14)])
        func register(_ name: String, _ type: String, _ kind: Register.Kind) -> Register {
            // 64 bits in either layout: a description chosen for 32-bit code must not hide what a 64-bit kernel has here.
            Register(name: name, bits: 64, type: type, kind: kind)
        }
        var registers = long ? [] : segmentBases
        for (name, number) in [("cs", 1), ("ss", 2), ("ds", 3), ("es", 0)] {
            registers.append(register(name + "_base", "int64", .base(number)))
        }
        registers += [
            register("k_gs_base", "int64", .msr(0xc000_0102)), register("cr0", "cr0_flags", .control(0)),
            register("cr2", "int64", .control(2)), register("cr3", "int64", .control(3)),
            register("cr4", "cr4_flags", .control(4)), register("cr8", "int64", .control(8)),
            register("efer", "efer_flags", .msr(0xc000_0080)),
        ]
        return RegisterFeature(name: "org.trapeze.system", types: cr0.xml + cr4.xml + efer.xml, registers: registers)
    }
}

/// A type whose bits have names.
private struct FlagsType {
    let id: String
    let bytes: Int
    let fields: [(name: String, bit: Int)]

    var xml: String {
        let fields = fields.map { "<field name=\"\($0.name)\" start=\"\($0.bit)\" end=\"\($0.bit)\"/>" }
        return "<flags id=\"\(id)\" size=\"\(bytes)\">\(fields.joined())</flags>"
    }
}
