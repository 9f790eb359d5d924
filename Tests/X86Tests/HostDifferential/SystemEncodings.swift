// Instructions on segment registers, far transfers, floating-point state, hints, and those that a user program may not
// execute: all that ring 3 can try without harming the host process or seeing what is the host's alone.

extension Encoding {
    static let systemTable = """
        8c m v
        8e m v selector
        0f02 m v selector
        0f03 m v selector
        0f00/4 v selector
        0f00/5 v selector
        63 m v no64
        06 q no64 stack
        0e q no64 stack
        16 q no64 stack
        1e q no64 stack
        0fa0 q stack
        0fa8 q stack
        07 q no64 popSegment
        17 q no64 popSegment
        1f q no64 popSegment
        0fa1 q popSegment
        0fa9 q popSegment
        c4 m v no64 mem farPointer
        c5 m v no64 mem farPointer
        0fb2 m v mem farPointer
        0fb4 m v mem farPointer
        0fb5 m v mem farPointer
        9a v no64 farimm
        ea v no64 farimm
        ff/3 v mem farIndirect
        ff/5 v mem farIndirect
        cb v retFar
        ca v iw retFar
        cf v iret
        cc
        cd ib interrupt
        ce no64
        0f0b
        0fb9 m v
        0fff m v
        82/7 b ib no64
        0fae/0 y f3 reg only64
        0fae/1 y f3 reg only64
        0fae/2 y f3 reg only64 base
        0fae/3 y f3 reg only64 base
        0f0d m v
        0f18 m v
        0f19 m v
        0f1a m v
        0f1b m v
        0f1c m v
        0f1d m v
        0f1e m v
        0f1f m v
        0fae/5 reg
        0fae/6 reg
        0fae/7 reg
        0fae/7 mem
        0fae/7 mem 66
        0fae/6 mem 66
        0fae/0 y mem saveArea
        0fae/1 y mem restoreArea
        0fae/2 mem controlWord
        0fae/3 mem controlWord
        0fae/4 y mem extendedArea
        0fae/5 y mem restoreArea
        0fc7/4 y mem extendedArea
        d9/4 v mem environment
        d9/5 mem controlWord
        d9/6 v mem environment
        d9/7 mem controlWord
        dd/4 v mem environment
        dd/6 v mem environment
        dd/7 mem controlWord
        9b clear
        f4
        fa
        fb
        e4 ib
        e5 v ib
        e6 ib
        e7 v ib
        ec
        ed v
        ee
        ef v
        6c string
        6d v string
        6e string
        6f v string
        0f00/2
        0f00/3
        0f01/2 mem
        0f01/3 mem
        0f01/6
        0f01/7 mem
        0f06
        0f08
        0f09
        0f20 m reg
        0f21 m reg
        0f22 m reg
        0f23 m reg
        0f30
        0f32
        0faa
        0f3882 m mem 66
        0fc7/3 y mem
        0fc7/5 y mem
        """
}

extension Encoding {
    /// Those with a whole ModRM byte.
    static let fixedEncodings: [Encoding] =
        [
            (bytes: [0xdf], modRM: 0xe0), ([0xdb], 0xe2), ([0xdb], 0xe3), ([0x0f], 0x77), ([0x0f, 0x01], 0xd1),
            ([0x0f, 0x01], 0xf8), ([0x0f, 0x01], 0xca), ([0x0f, 0x01], 0xcb),
        ].map { (bytes: [UInt8], modRM: UInt8) in
            var made = Encoding("00 clear")
            made.bytes = bytes
            made.operands = .fixed(mask: 0xff, value: modRM)
            made.isNative = true
            if modRM == 0xf8 { made.in64BitMode = true }
            return made
        }
}
