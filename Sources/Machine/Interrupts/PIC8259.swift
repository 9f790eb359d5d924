// One 8259A programmable interrupt controller (Intel 231468): requests, masks, priorities and its two ports. The pair of
// them that a PC has is in `PIC8259Pair.swift`.

import VirtualCPU

/// The behaviour of an 8259A over its engine-neutral state.
struct PIC8259 {
    var state = PICState()
    /// The secondary chip's INT, on the primary's input 2; nil for the secondary, where input 2 is like any other.
    var cascade: Bool?
    /// Inputs that the edge/level control register can make level-triggered.
    let levelCapable: UInt8

    init(primary: Bool) {
        cascade = primary ? false : nil
        levelCapable = primary ? 0xf8 : 0xde
    }

    // MARK: Requests

    /// IRR with what levels and the cascade contribute.
    var requests: UInt8 {
        var requests = state.irr & ~state.elcr | state.lines & state.elcr
        if let cascade { requests = requests & ~4 | (cascade ? 4 : 0) }
        return requests
    }

    /// Drives an input; edges are latched until they are acknowledged.
    mutating func setLine(_ input: Int, level: Bool) {
        let bit: UInt8 = 1 << UInt8(input)
        if level {
            if state.lines & bit == 0 { state.irr |= bit }
            state.lines |= bit
        } else {
            state.lines &= ~bit
        }
    }

    /// The highest-priority input among `bits`, as its distance from the top of the current order.
    private func rank(_ bits: UInt8) -> Int? {
        guard bits != 0 else { return nil }
        let top = (Int(state.lowestPriority) + 1) & 7
        let rotated = UInt16(bits) | UInt16(bits) << 8
        return (rotated >> UInt16(top)).trailingZeroBitCount
    }

    private func input(ofRank rank: Int) -> Int { (rank + Int(state.lowestPriority) + 1) & 7 }

    /// The input that the chip asks to be served now.
    var pendingInput: Int? {
        guard state.initStep == 0, let request = rank(requests & ~state.imr) else { return nil }
        var blocking = state.isr
        if state.specialMask { blocking &= ~state.imr }
        // Special fully nested mode: further requests of the secondary chip pass (8259A, "special fully nested mode").
        if cascade != nil, state.icw4 & 0x10 != 0 { blocking &= ~4 }
        if let service = rank(blocking), service <= request { return nil }
        return input(ofRank: request)
    }

    /// The INTA cycle for an input.
    mutating func acknowledge(_ input: Int) {
        let bit: UInt8 = 1 << UInt8(input)
        state.irr &= ~bit
        if state.icw4 & 2 != 0 {
            if state.rotateOnAutoEOI { state.lowestPriority = UInt8(input) }
        } else {
            state.isr |= bit
        }
    }

    // MARK: Ports

    /// Reads the port with A0 = `offset`.
    mutating func read(_ offset: UInt16) -> UInt8 {
        if state.poll {
            state.poll = false
            guard let input = pendingInput else { return 0 }
            acknowledge(input)
            return 0x80 | UInt8(input)
        }
        if offset == 1 { return state.imr }
        return state.readISR ? state.isr : requests
    }

    /// Writes the port with A0 = `offset`.
    mutating func write(_ offset: UInt16, _ value: UInt8) {
        if offset == 1 {
            writeData(value)
        } else if value & 0x10 != 0 {
            initialise(value)
        } else if value & 8 != 0 {
            writeOCW3(value)
        } else {
            writeOCW2(value)
        }
    }

    /// ICW1. LTIM has no effect, since the edge/level control register of the PC decides.
    private mutating func initialise(_ icw1: UInt8) {
        let (lines, elcr) = (state.lines, state.elcr)
        state = PICState()
        (state.lines, state.elcr) = (lines, elcr)
        state.icw1 = icw1
        state.initStep = 2
    }

    /// ICW2…ICW4 while initialising, otherwise OCW1.
    private mutating func writeData(_ value: UInt8) {
        let afterCascade: UInt8 = state.icw1 & 1 != 0 ? 4 : 0
        switch state.initStep {
        case 2:
            state.vectorBase = value & 0xf8
            state.initStep = state.icw1 & 2 != 0 ? afterCascade : 3
        case 3:
            state.initStep = afterCascade
        case 4:
            state.icw4 = value & 0x1f
            state.initStep = 0
        default:
            state.imr = value
        }
    }

    /// EOI and rotation.
    private mutating func writeOCW2(_ value: UInt8) {
        let named = value & 7
        switch value >> 5 {
        case 0: state.rotateOnAutoEOI = false
        case 4: state.rotateOnAutoEOI = true
        case 1, 5:
            // In special mask mode an unspecific EOI leaves masked inputs alone.
            let candidates = state.specialMask ? state.isr & ~state.imr : state.isr
            guard let rank = rank(candidates) else { return }
            let input = UInt8(input(ofRank: rank))
            state.isr &= ~(1 << input)
            if value >> 5 == 5 { state.lowestPriority = input }
        case 3: state.isr &= ~(1 << named)
        case 6: state.lowestPriority = named
        case 7:
            state.isr &= ~(1 << named)
            state.lowestPriority = named
        default: break
        }
    }

    /// Register to read, poll, special mask.
    private mutating func writeOCW3(_ value: UInt8) {
        if value & 4 != 0 { state.poll = true }
        if value & 2 != 0 { state.readISR = value & 1 != 0 }
        if value & 0x40 != 0 { state.specialMask = value & 0x20 != 0 }
    }

    /// Writes the chip's edge/level control register.
    mutating func writeELCR(_ value: UInt8) {
        let new = value & levelCapable
        // A latched edge means nothing to an input that becomes level-triggered.
        state.irr &= ~(new & ~state.elcr)
        state.elcr = new
    }

    /// Whether a state is one that a chip can be in.
    static func isValid(_ state: PICState, levelCapable: UInt8) -> Bool {
        state.lowestPriority < 8 && [0, 2, 3, 4].contains(state.initStep) && state.elcr & ~levelCapable == 0
    }
}
