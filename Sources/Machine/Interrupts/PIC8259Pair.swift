// The PC's two 8259A chips, the secondary one on input 2 of the primary, with their edge/level control registers.

import VirtualCPU

/// Both chips' states.
package struct PICPairState: Codable, Equatable, Sendable {
    /// Primary and secondary.
    package var chips: [PICState]
}

/// The pair of interrupt controllers. Its port offsets: 0 and 1 are the primary's, 2 and 3 the secondary's, 4 and 5 the
/// edge/level control registers.
package final class PIC8259Pair: PortDevice, StatefulDevice {
    /// Takes the level of INTR when it changes.
    package var onINTR: ((Bool) -> Void)?
    /// The level of INTR.
    package private(set) var intr = false

    private var primary = PIC8259(primary: true)
    private var secondary = PIC8259(primary: false)

    /// Makes the pair after reset: not initialised, all inputs low.
    package init() {}

    /// Drives ISA interrupt 0…15.
    package func setLine(_ irq: Int, level: Bool) {
        guard (0..<16).contains(irq), irq != 2 else { return }
        if irq < 8 { primary.setLine(irq, level: level) } else { secondary.setLine(irq - 8, level: level) }
        update()
    }

    /// Sets an input's level without an edge.
    package func presetLine(_ irq: Int, level: Bool) {
        guard (0..<16).contains(irq), irq != 2 else { return }
        let bit: UInt8 = 1 << UInt8(irq & 7)
        if irq < 8 {
            primary.state.lines = primary.state.lines & ~bit | (level ? bit : 0)
        } else {
            secondary.state.lines = secondary.state.lines & ~bit | (level ? bit : 0)
        }
    }

    /// The INTA cycle: the vector to take. A request that has gone meanwhile gives input 7's (the spurious interrupt).
    package func acknowledge() -> UInt8 {
        defer { update() }
        guard let input = primary.pendingInput else { return primary.state.vectorBase | 7 }
        primary.acknowledge(input)
        guard input == 2 else { return primary.state.vectorBase | UInt8(input) }
        guard let second = secondary.pendingInput else { return secondary.state.vectorBase | 7 }
        secondary.acknowledge(second)
        return secondary.state.vectorBase | UInt8(second)
    }

    private func update() {
        primary.cascade = secondary.pendingInput != nil
        let level = primary.pendingInput != nil
        guard level != intr else { return }
        intr = level
        onINTR?(level)
    }

    // MARK: Ports

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        defer { update() }
        switch offset {
        case 0, 1: return UInt32(primary.read(offset))
        case 2, 3: return UInt32(secondary.read(offset - 2))
        case 4: return UInt32(primary.state.elcr)
        case 5: return UInt32(secondary.state.elcr)
        default: return 0xff
        }
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        switch offset {
        case 0, 1: primary.write(offset, value)
        case 2, 3: secondary.write(offset - 2, value)
        case 4: primary.writeELCR(value)
        case 5: secondary.writeELCR(value)
        default: break
        }
        update()
    }

    // MARK: State

    /// Both chips.
    package func exportState() -> PICPairState { PICPairState(chips: [primary.state, secondary.state]) }

    /// Puts both chips back; INTR's level follows without being driven.
    package func importState(_ state: PICPairState) throws(DeviceStateError) {
        guard state.chips.count == 2,
            PIC8259.isValid(state.chips[0], levelCapable: primary.levelCapable),
            PIC8259.isValid(state.chips[1], levelCapable: secondary.levelCapable)
        else { throw DeviceStateError("not the state of two 8259A chips") }
        primary.state = state.chips[0]
        secondary.state = state.chips[1]
        primary.cascade = secondary.pendingInput != nil
        intr = primary.pendingInput != nil
    }
}
