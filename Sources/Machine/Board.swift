// The board: every device, where it sits and which interrupt it has. The one place that knows all devices; the map is in
// `Map.swift`, how the guest learns of it in `ACPI`.

import Foundation
import Memory
import VirtualCPU

/// The devices of one machine on their buses.
// Sendable: devices are touched with the device lock held only; everything here is set by `init`.
final class Board: @unchecked Sendable {
    let bus: MachineBus
    let serial: Serial16550
    private let lock: DeviceLock
    private let registry = DeviceStateRegistry()

    init(
        _ configuration: MachineConfiguration, memory: GuestMemory, clock: Clock, hosted: HostedChips,
        events: @escaping MachineEventSink
    ) throws {
        lock = DeviceLock()
        let environment = DeviceEnvironment(clock: clock, lock: lock, events: events)
        let interrupts = InterruptRouter(hosted: hosted)
        bus = MachineBus(lock: lock, memory: memory, interrupts: interrupts)
        func line(_ input: Int, _ name: String) throws -> InterruptLine {
            guard let line = interrupts.line(input, name: name) else {
                throw MachineError.state("no interrupt \(input)")
            }
            return line
        }

        serial = Serial16550(
            environment, line: try line(InterruptMap.com1, "COM1"), holdsInput: configuration.holdsSerialInput,
            output: configuration.serialOutput)
        let powerManagement = ACPIPowerManagement(environment, line: try line(InterruptMap.sci, "SCI"))
        let clockChip = CMOSRTC(
            environment, line: try line(InterruptMap.rtc, "RTC"), date: configuration.date,
            memorySize: configuration.memorySize)
        let keyboard = I8042(environment)
        let pci = PCIHost()
        let debugOutput = configuration.debugOutput

        let ports = bus.ports
        if let pic = interrupts.pic {
            try ports.claim(PortMap.primaryPIC, name: "primary PIC", offset: 0, device: pic)
            try ports.claim(PortMap.secondaryPIC, name: "secondary PIC", offset: 2, device: pic)
            try ports.claim(PortMap.edgeLevel, name: "PIC edge/level control", offset: 4, device: pic)
            try registry.register("pic", pic)
        }
        if let ioAPIC = interrupts.ioAPIC {
            try bus.mmio.claim(
                base: MMIOMap.ioAPIC, size: MMIOMap.ioAPICSize, name: "I/O APIC", sizes: .dword, device: ioAPIC)
            try registry.register("ioapic", ioAPIC)
        }
        if !hosted.contains(.pit) {
            let pit = PIT8254(environment, line: try line(InterruptMap.pit, "PIT"))
            try ports.claim(PortMap.pit, name: "PIT", device: pit)
            try ports.claim(PortMap.systemControlB, name: "system control port B", offset: 4, device: pit)
            try registry.register("pit", pit)
        }
        try bus.mmio.reserve(base: MMIOMap.localAPIC, size: MMIOMap.localAPICSize, name: "local APICs")
        try ports.claim(PortMap.com1, name: "COM1", device: serial)
        try ports.claim(PortMap.cmos, name: "CMOS clock", device: clockChip)
        try ports.claim(PortMap.keyboardData, name: "i8042 data", offset: 0, device: keyboard)
        try ports.claim(PortMap.keyboardCommand, name: "i8042 command", offset: 4, device: keyboard)
        try ports.claim(
            PortMap.powerManagement, name: "ACPI power management", sizes: .upToDword, device: powerManagement)
        try ports.claim(PortMap.pciAddress, name: "PCI configuration address", sizes: .dword, device: pci)
        try ports.claim(PortMap.pciData, name: "PCI configuration data", sizes: .upToDword, offset: 4, device: pci)
        let resetControl = ResetControl(environment)
        try ports.claim(PortMap.resetControl, name: "reset control", device: resetControl)
        let controlA = SystemControlA(environment)
        try ports.claim(PortMap.systemControlA, name: "system control port A", device: controlA)
        let postCode = PostCodePort()
        try ports.claim(PortMap.postCode, name: "POST code", device: postCode)
        let crtController = CRTController()
        try ports.claim(PortMap.crtController, name: "CRT controller", device: crtController)
        let firmwareConfiguration = FirmwareConfiguration(
            memorySize: configuration.memorySize, processors: configuration.cpuCount)
        try ports.claim(
            PortMap.firmwareConfiguration, name: "fw_cfg", sizes: [.byte, .word], device: firmwareConfiguration)
        try ports.claim(PortMap.pvpanic, name: "pvpanic", device: PVPanic(environment))
        try ports.claim(
            PortMap.exit, name: "exit port", sizes: .upToDword,
            device: ExitPort(environment, status: configuration.exitStatus))
        try ports.claim(
            PortMap.debugConsole, name: "debug console", device: DebugConsole(output: { debugOutput([$0]) }))

        let testDevice = TestDevice(
            lines: try (0..<InterruptRouter.inputs).map { try line($0, "test device \($0)") })
        try testDevice.claim(on: bus)

        try registry.register("interrupts", interrupts)
        try registry.register("test-device", testDevice)
        try registry.register("serial", serial)
        try registry.register("acpi-pm", powerManagement)
        try registry.register("cmos", clockChip)
        try registry.register("i8042", keyboard)
        try registry.register("pci", pci)
        try registry.register("reset-control", resetControl)
        try registry.register("system-control-a", controlA)
        try registry.register("post-code", postCode)
        try registry.register("crt-controller", crtController)
        try registry.register("fw-cfg", firmwareConfiguration)
    }

    /// Names the engine's part of the machine, to which interrupts go.
    func connect(_ engine: any EngineVM) { bus.interrupts.connect(engine) }

    /// Hands over what the guest has sent and nobody has seen yet.
    func flushOutput() { lock.withLock { serial.flush() } }

    /// Calls `action` when COM1 takes input again after it refused some.
    func onSerialInputSpace(_ action: @escaping @Sendable () -> Void) {
        lock.withLock { serial.onInputSpace = action }
    }

    /// Leaves the interrupt controllers and the timer as a BIOS does: vectors from 08H and 70H, nothing but the timer
    /// let through, and that at 18.2 Hz.
    func programInterruptsAsFirmwareDoes() {
        let writes: [(port: UInt16, values: [UInt32])] = [
            (PortMap.primaryPIC.lowerBound, [0x11]),
            (PortMap.primaryPIC.upperBound, [UInt32(FirmwareInterrupts.primaryBase), 0x04, 0x01, 0xfa]),
            (PortMap.secondaryPIC.lowerBound, [0x11]),
            (PortMap.secondaryPIC.upperBound, [UInt32(FirmwareInterrupts.secondaryBase), 0x02, 0x01, 0xff]),
            (PortMap.pit.upperBound, [0x34]),
            (PortMap.pit.lowerBound, [0, 0]),
        ]
        for (port, values) in writes {
            for value in values { bus.writePort(port, size: 1, value: value) }
        }
    }

    // MARK: State

    /// The states of all devices, together with what `others` gives: a timer that comes due meanwhile has sent its interrupt for
    /// both or for neither.
    func exportStates<Others>(with others: () throws -> Others) throws -> (devices: DeviceStates, others: Others) {
        try lock.withLock { (try registry.exportStates(), try others()) }
    }

    func importStates(_ states: DeviceStates) throws(DeviceStateError) {
        try lock.withLock { () throws(DeviceStateError) in try registry.importStates(states) }
    }

    /// After an import of everything, vCPUs included.
    func restored() { lock.withLock { bus.interrupts.driveINTR() } }
}
