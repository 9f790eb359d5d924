// ACPI fixed hardware (ACPI 6.5, section 4.8): the PM1a event and control blocks, the PM timer, the power button, and the
// SCI. The machine has no SMI, so ACPI mode is always on.

import VirtualCPU

/// The fixed hardware's registers.
package struct PowerManagementState: Codable, Equatable, Sendable {
    /// PM1 status: TMR_STS 0, PWRBTN_STS 8.
    var status: UInt16 = 0
    /// PM1 enable: TMR_EN 0, GBL_EN 5, PWRBTN_EN 8, RTC_EN 10.
    var enable: UInt16 = 0
    /// PM1 control as written, without SLP_EN.
    var control: UInt16 = 0
    /// How often the timer's highest bit had changed when TMR_STS was last brought up to date.
    var seenToggles: UInt64 = 0
}

/// The fixed hardware. Its port offsets: 0 status, 2 enable, 4 control, 8 timer.
package final class ACPIPowerManagement: PortDevice, StatefulDevice {
    private enum Event {
        static let timer: UInt16 = 1 << 0
        static let global: UInt16 = 1 << 5
        static let powerButton: UInt16 = 1 << 8
        /// The RTC wakes nothing here and never sets its status, but Linux enables it whatever the FADT says, and expects
        /// to read back what it wrote.
        static let rtc: UInt16 = 1 << 10
        static let all = timer | global | powerButton | rtc
    }
    private enum Control {
        static let sciEnable: UInt16 = 1 << 0
        static let sleepEnable: UInt16 = 1 << 13
    }
    /// Frequency of the PM timer in hertz (section 4.8.3.3).
    package static let timerFrequency: UInt64 = 3_579_545

    private let environment: DeviceEnvironment
    private let line: InterruptLine
    private let timer: DeviceTimer
    /// Width of the timer: 32 bits, or 24, as the FADT's TMR_VAL_EXT says.
    private let timerBits: UInt64
    private var state = PowerManagementState()

    /// Makes the fixed hardware after reset.
    package init(_ environment: DeviceEnvironment, line: InterruptLine, wideTimer: Bool = true) {
        self.environment = environment
        self.line = line
        timerBits = wideTimer ? 32 : 24
        timer = DeviceTimer(environment)
        timer.onExpiry { [weak self] in self?.update() }
    }

    /// Presses the power button: the guest's system is asked to shut down. Any thread.
    package func pressPowerButton() {
        environment.lock.withLock {
            state.status |= Event.powerButton
            update()
        }
    }

    // MARK: Timer and SCI

    private var ticks: UInt64 {
        let product = environment.clock.now().multipliedFullWidth(by: Self.timerFrequency)
        return (1_000_000_000 as UInt64).dividingFullWidth(product).quotient
    }

    /// The first nanosecond at which the timer has counted that far.
    private func time(of ticks: UInt64) -> UInt64 {
        let product = ticks.multipliedFullWidth(by: 1_000_000_000)
        guard product.high < Self.timerFrequency else { return .max }
        let (quotient, remainder) = Self.timerFrequency.dividingFullWidth(product)
        return remainder == 0 ? quotient : quotient + 1
    }

    private func catchUp() {
        let toggles = ticks >> (timerBits - 1)
        if toggles > state.seenToggles { state.status |= Event.timer }
        state.seenToggles = toggles
    }

    /// Brings TMR_STS, the SCI and the timer up to date.
    private func update() {
        catchUp()
        line.set(state.status & state.enable & Event.all != 0)
        schedule()
    }

    private func schedule() {
        let awaited = state.enable & ~state.status & Event.timer != 0
        timer.arm(at: awaited ? time(of: (ticks >> (timerBits - 1) + 1) << (timerBits - 1)) : nil)
    }

    // MARK: Ports

    /// IN. Registers may be read in parts.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        catchUp()
        let count = ticks & (1 << timerBits - 1)
        let low = UInt64(state.status) | UInt64(state.enable) << 16 | UInt64(state.control | Control.sciEnable) << 32
        let register = offset < 8 ? low >> UInt64(offset * 8) : count >> UInt64((offset - 8) * 8)
        return UInt32(truncatingIfNeeded: register)
    }

    /// OUT. Registers may be written in parts.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        catchUp()
        for index in 0..<size {
            let byte = UInt16(truncatingIfNeeded: value >> UInt32(index * 8) & 0xff)
            let at = Int(offset) + index
            let (bits, mask) = at & 1 == 0 ? (byte, 0xff00 as UInt16) : (byte << 8, 0x00ff)
            switch at & ~1 {
            case 0: state.status &= ~bits
            case 2: state.enable = (state.enable & mask | bits) & Event.all
            case 4: writeControl(state.control & mask | bits)
            default: break
            }
        }
        update()
    }

    /// SLP_TYP and SLP_EN share a byte, so that they arrive together.
    private func writeControl(_ value: UInt16) {
        state.control = value & ~Control.sleepEnable & 0x1c07
        guard value & Control.sleepEnable != 0, value >> 10 & 7 == InterruptMap.softOffType else { return }
        environment.events(.powerOff)
    }

    // MARK: State

    /// The registers.
    package func exportState() -> PowerManagementState { state }

    /// Puts the registers back and arms the timer.
    package func importState(_ state: PowerManagementState) throws(DeviceStateError) {
        guard state.enable & ~Event.all == 0, state.control & ~0x1c07 == 0 else {
            throw DeviceStateError("not the state of ACPI fixed hardware")
        }
        self.state = state
        schedule()
    }
}
