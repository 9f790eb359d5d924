// The CRT controller of a colour text adapter (IBM VGA: index and data registers at 0x3d4): its 25 registers are
// remembered, and nothing is displayed. Systems that print to text memory, which is RAM here, keep the cursor in it and
// read it back, and refuse to go on where it lies beyond the screen.

/// What the controller remembers.
package struct CRTControllerState: Codable, Equatable, Sendable {
    /// The index register.
    var index: UInt8 = 0
    /// The registers, from Horizontal Total to Line Compare.
    var registers = [UInt8](repeating: 0, count: CRTController.registerCount)
}

/// The controller. Its port offsets: 0 is the index register, 1 the register that it names.
package final class CRTController: PortDevice, StatefulDevice {
    /// Registers of a VGA: 0x00 to 0x18.
    static let registerCount = 25
    /// Bits of the index register that exist.
    private static let indexMask: UInt8 = 0x1f
    /// Vertical Retrace End: its bit 7 protects registers 0 to 7, except the bit of Line Compare in Overflow.
    private static let verticalRetraceEnd = 0x11
    private static let overflow = 0x07
    private static let lineCompareBit: UInt8 = 0x10

    private var state = CRTControllerState()

    /// Makes a controller with all registers 0: cursor in the upper left corner.
    package init() {}

    /// IN. Registers that don't exist read as 0.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        guard offset != 0 else { return UInt32(state.index) }
        let index = Int(state.index)
        return index < Self.registerCount ? UInt32(state.registers[index]) : 0
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let byte = UInt8(truncatingIfNeeded: value)
        guard offset != 0 else {
            state.index = byte & Self.indexMask
            return
        }
        let index = Int(state.index)
        guard index < Self.registerCount else { return }
        var writable: UInt8 = 0xff
        if index <= Self.overflow, state.registers[Self.verticalRetraceEnd] & 0x80 != 0 {
            writable = index == Self.overflow ? Self.lineCompareBit : 0
        }
        state.registers[index] = state.registers[index] & ~writable | byte & writable
    }

    // MARK: State

    /// The registers.
    package func exportState() -> CRTControllerState { state }

    /// Puts them back.
    package func importState(_ state: CRTControllerState) throws(DeviceStateError) {
        guard state.index & ~Self.indexMask == 0, state.registers.count == Self.registerCount else {
            throw DeviceStateError("not the state of a CRT controller")
        }
        self.state = state
    }
}
