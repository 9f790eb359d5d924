// x87, SSE and AVX registers in the XSAVE area of a vCPU's state (SDM volume 1, sections 13.4 and 10.5.1), as GDB wants
// them: whole registers, and a tag word of two bits for each x87 register where the area has one.

import VirtualCPU

extension CPUState {
    /// Components of the area; their bits in XSTATE_BV.
    private enum Component {
        static let x87: UInt8 = 1
        static let sse: UInt8 = 2
        static let avx: UInt8 = 4
    }

    private enum Offset {
        static let fcw = 0
        static let fsw = 2
        static let tags = 4
        static let fop = 6
        static let instructionPointer = 8
        static let dataPointer = 16
        static let mxcsr = 24
        static let st = 32
        static let xmm = 160
        static let header = 512
        static let ymmHigh = 576
    }

    /// Whether a component has anything but its initial values.
    private func isInUse(_ component: UInt8) -> Bool { xsave[Offset.header] & component != 0 }

    /// Gives a component its initial values if the area leaves it out.
    private mutating func use(_ component: UInt8) {
        guard !isInUse(component) else { return }
        let bytes: Range<Int>
        switch component {
        case Component.x87: bytes = 0..<Offset.mxcsr
        case Component.sse: bytes = Offset.xmm..<Offset.xmm + 256
        default: bytes = Offset.ymmHigh..<Offset.ymmHigh + 256
        }
        for index in bytes { xsave[index] = 0 }
        if component == Component.x87 {
            for index in Offset.st..<Offset.xmm { xsave[index] = 0 }
            (xsave[Offset.fcw], xsave[Offset.fcw + 1]) = (0x7f, 3)
        }
        xsave[Offset.header] |= component
    }

    /// Where a register's bytes lie, and the component they belong to; nil for what is no vector or x87 register.
    private static func place(_ kind: Register.Kind) -> (offset: Int, count: Int, component: UInt8)? {
        switch kind {
        case .st(let n): (Offset.st + 16 * n, 10, Component.x87)
        case .xmm(let n): (Offset.xmm + 16 * n, 16, Component.sse)
        case .ymmHigh(let n): (Offset.ymmHigh + 16 * n, 16, Component.avx)
        default: nil
        }
    }

    /// The bytes of an x87 or vector register; nil for other kinds.
    func wideRegister(_ kind: Register.Kind) -> [UInt8]? {
        guard let place = Self.place(kind) else { return nil }
        guard isInUse(place.component) else { return Array(repeating: 0, count: place.count) }
        return Array(xsave[place.offset..<place.offset + place.count])
    }

    /// Replaces an x87 or vector register; false for other kinds.
    mutating func setWideRegister(_ kind: Register.Kind, to bytes: [UInt8]) -> Bool {
        guard let place = Self.place(kind), bytes.count == place.count else { return false }
        use(place.component)
        xsave.replaceSubrange(place.offset..<place.offset + place.count, with: bytes)
        return true
    }

    private func word(_ offset: Int, count: Int) -> UInt64 {
        xsave[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func setWord(_ offset: Int, count: Int, _ value: UInt64) {
        for index in 0..<count { xsave[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }

    /// MXCSR. The bits that no CPU model has stay 0.
    var mxcsr: UInt64 {
        get { word(Offset.mxcsr, count: 4) }
        set { setWord(Offset.mxcsr, count: 4, newValue & 0xffff) }
    }

    /// A field of the x87 environment.
    subscript(field: Register.X87Field) -> UInt64 {
        get {
            var state = self
            state.use(Component.x87)
            return switch field {
            case .fctrl: state.word(Offset.fcw, count: 2)
            case .fstat: state.word(Offset.fsw, count: 2)
            case .ftag: state.fullTags
            case .fioff: state.word(Offset.instructionPointer, count: 4)
            case .fooff: state.word(Offset.dataPointer, count: 4)
            // In long mode the pointers are 64 bits wide and have no selectors.
            case .fiseg: isLongMode ? state.word(Offset.instructionPointer + 4, count: 4) : UInt64(x87CodeSelector)
            case .foseg: isLongMode ? state.word(Offset.dataPointer + 4, count: 4) : UInt64(x87DataSelector)
            case .fop: state.word(Offset.fop, count: 2)
            }
        }
        set {
            use(Component.x87)
            switch field {
            // Bit 6 is always set, bits 15:13 and 7 are reserved.
            case .fctrl: setWord(Offset.fcw, count: 2, newValue & 0x1f7f | 0x40)
            case .fstat: setWord(Offset.fsw, count: 2, newValue)
            case .ftag:
                xsave[Offset.tags] = 0
                for n in 0..<8 where newValue >> UInt64(2 * n) & 3 != 3 { xsave[Offset.tags] |= 1 << UInt8(n) }
            case .fioff: setWord(Offset.instructionPointer, count: 4, newValue)
            case .fooff: setWord(Offset.dataPointer, count: 4, newValue)
            case .fiseg:
                setWord(Offset.instructionPointer + 4, count: 4, isLongMode ? newValue : newValue & 0xffff)
                if !isLongMode { x87CodeSelector = UInt16(truncatingIfNeeded: newValue) }
            case .foseg:
                setWord(Offset.dataPointer + 4, count: 4, isLongMode ? newValue : newValue & 0xffff)
                if !isLongMode { x87DataSelector = UInt16(truncatingIfNeeded: newValue) }
            case .fop: setWord(Offset.fop, count: 2, newValue & 0x7ff)
            }
        }
    }

    /// The tag word with two bits for each register: 0 valid, 1 zero, 2 special, 3 empty. The area says no more than
    /// whether one is empty; the rest follows from its contents (SDM volume 1, section 8.1.7).
    private var fullTags: UInt64 {
        let top = word(Offset.fsw, count: 2) >> 11 & 7
        var tags: UInt64 = 0
        for physical in 0..<8 as Range<UInt64> {
            var tag: UInt64 = 3
            if xsave[Offset.tags] >> UInt8(physical) & 1 != 0 {
                let start = Offset.st + 16 * Int((physical &- top) & 7)
                let (significand, exponent) = (word(start, count: 8), word(start + 8, count: 2) & 0x7fff)
                switch exponent {
                case 0: tag = significand == 0 ? 1 : 2
                case 0x7fff: tag = 2
                default: tag = significand >> 63 != 0 ? 0 : 2
                }
            }
            tags |= tag << (2 * physical)
        }
        return tags
    }
}
