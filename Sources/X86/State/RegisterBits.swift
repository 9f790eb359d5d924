// Bits of the control and flags registers, as the manuals spell them (SDM volume 1, section 3.4.3; volume 3, section
// 2.5). Plain integers, since hot paths test them.

enum RFLAGS {
    static let cf: UInt64 = 1 << 0
    static let reservedOne: UInt64 = 1 << 1
    static let pf: UInt64 = 1 << 2
    static let af: UInt64 = 1 << 4
    static let zf: UInt64 = 1 << 6
    static let sf: UInt64 = 1 << 7
    static let tf: UInt64 = 1 << 8
    static let `if`: UInt64 = 1 << 9
    static let df: UInt64 = 1 << 10
    static let of: UInt64 = 1 << 11
    static let iopl: UInt64 = 3 << 12
    static let nt: UInt64 = 1 << 14
    static let rf: UInt64 = 1 << 16
    static let vm: UInt64 = 1 << 17
    static let ac: UInt64 = 1 << 18
    static let vif: UInt64 = 1 << 19
    static let vip: UInt64 = 1 << 20
    static let id: UInt64 = 1 << 21
    /// The six flags that are kept apart in `tz_cpu.arithmetic`.
    static let arithmetic = cf | pf | af | zf | sf | of
    /// Every defined bit.
    static let defined =
        arithmetic | reservedOne | tf | `if` | df | iopl | nt | rf | vm | ac | vif | vip | id
}

enum CR0 {
    static let pe: UInt64 = 1 << 0
    static let mp: UInt64 = 1 << 1
    static let em: UInt64 = 1 << 2
    static let ts: UInt64 = 1 << 3
    static let et: UInt64 = 1 << 4
    static let ne: UInt64 = 1 << 5
    static let wp: UInt64 = 1 << 16
    static let am: UInt64 = 1 << 18
    static let nw: UInt64 = 1 << 29
    static let cd: UInt64 = 1 << 30
    static let pg: UInt64 = 1 << 31
}

enum CR4 {
    static let vme: UInt64 = 1 << 0
    static let pvi: UInt64 = 1 << 1
    static let tsd: UInt64 = 1 << 2
    static let de: UInt64 = 1 << 3
    static let pse: UInt64 = 1 << 4
    static let pae: UInt64 = 1 << 5
    static let mce: UInt64 = 1 << 6
    static let pge: UInt64 = 1 << 7
    static let pce: UInt64 = 1 << 8
    static let osfxsr: UInt64 = 1 << 9
    static let osxmmexcpt: UInt64 = 1 << 10
    static let umip: UInt64 = 1 << 11
    static let la57: UInt64 = 1 << 12
    static let fsgsbase: UInt64 = 1 << 16
    static let pcide: UInt64 = 1 << 17
    static let osxsave: UInt64 = 1 << 18
    static let smep: UInt64 = 1 << 20
    static let smap: UInt64 = 1 << 21
    static let pke: UInt64 = 1 << 22
    static let pks: UInt64 = 1 << 24
}

enum EFER {
    static let sce: UInt64 = 1 << 0
    static let lme: UInt64 = 1 << 8
    static let lma: UInt64 = 1 << 10
    static let nxe: UInt64 = 1 << 11
    /// AMD: automatic IBRS
    static let automaticIBRS: UInt64 = 1 << 21
}

/// Access rights of a segment register in `tz_segment.attributes` (SDM volume 3, table 25-2).
enum SegmentAttributes {
    static let typeMask: UInt32 = 0xf
    static let accessed: UInt32 = 1 << 0
    /// Data: writable. Code: readable.
    static let writable: UInt32 = 1 << 1
    /// Data: expand-down. Code: conforming.
    static let expandDown: UInt32 = 1 << 2
    static let code: UInt32 = 1 << 3
    /// S: code or data, as opposed to system.
    static let codeOrData: UInt32 = 1 << 4
    static let dplShift: UInt32 = 5
    static let present: UInt32 = 1 << 7
    static let long: UInt32 = 1 << 13
    static let big: UInt32 = 1 << 14
    static let granularity: UInt32 = 1 << 15
    static let unusable: UInt32 = 1 << 16
}
