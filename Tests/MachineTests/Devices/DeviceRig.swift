// Every device on its buses, under a clock that the test moves by hand and an engine that only records. The rig is wired
// by the same map as a machine.

import Foundation
import Machine
import Memory
import Synchronization
import VirtualCPU

/// What devices sent to the engine.
final class RecordingEngine: EngineVM, Sendable {
    struct Record: Equatable {
        var intr: [Bool] = []
        var messages: [UInt64] = []
        var lines: [Int] = []
    }
    private let record = Mutex(Record())
    private let accepting = Atomic<Bool>(true)

    /// Whether messages find a local APIC.
    var accepts: Bool {
        get { accepting.load(ordering: .relaxed) }
        set { accepting.store(newValue, ordering: .relaxed) }
    }

    var seen: Record { record.withLock { $0 } }
    var intr: Bool { seen.intr.last ?? false }

    func setINTR(_ asserted: Bool) { record.withLock { $0.intr.append(asserted) } }
    /// Messages are noted as address and data in one number.
    func signalMSI(address: UInt64, data: UInt32) -> Bool {
        record.withLock { $0.messages.append(address << 32 | UInt64(data)) }
        return accepts
    }
    func setInterruptLine(_ gsi: Int, level: Bool) { record.withLock { $0.lines.append(level ? gsi : -1 - gsi) } }
    func takeMessages() -> [UInt64] {
        record.withLock { record in
            defer { record.messages = [] }
            return record.messages
        }
    }

    func map(_ region: MemoryRegion) throws(EngineError) {}
    func unmap(_ region: MemoryRegion) throws(EngineError) {}
    func protect(_ region: MemoryRegion, readOnly: Bool) {}
    func takeDirtyPages(_ region: MemoryRegion) -> [Int] { [] }
    func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU { throw EngineError("no vCPU here") }
    func exportChips() throws(EngineError) -> ChipStates { ChipStates() }
    func importChips(_ state: ChipStates) throws(EngineError) {}
}

/// What the devices reported and sent.
final class RigLog: Sendable {
    let events = Mutex<[MachineEvent]>([])
    let serial = Mutex<[[UInt8]]>([])
    let debug = Mutex<[UInt8]>([])
}

/// 2024-02-28 23:59:50 UTC in nanoseconds since 1970: a leap day is ten seconds away.
let rigDate: UInt64 = 1_709_164_790 * 1_000_000_000

struct MissingLine: Error {}

/// The wired devices.
final class Rig {
    let clock = Clock(source: .instructions)
    let lock = DeviceLock()
    let engine = RecordingEngine()
    let log = RigLog()
    let memory: GuestMemory
    let bus: MachineBus
    let interrupts: InterruptRouter
    let serial: Serial16550
    let pit: PIT8254
    let rtc: CMOSRTC
    let power: ACPIPowerManagement
    let pci = PCIHost()
    let registry = DeviceStateRegistry()

    init(wideTimer: Bool = true, holdsSerialInput: Bool = false) throws {
        let log = log
        let environment = DeviceEnvironment(
            clock: clock, lock: lock, events: { event in log.events.withLock { $0.append(event) } })
        memory = try GuestMemory(size: 64 << 20)
        interrupts = InterruptRouter()
        interrupts.connect(engine)
        bus = MachineBus(lock: lock, memory: memory, interrupts: interrupts)
        let router = interrupts
        func line(_ input: Int, _ name: String) throws -> InterruptLine {
            guard let line = router.line(input, name: name) else { throw MissingLine() }
            return line
        }
        serial = Serial16550(
            environment, line: try line(InterruptMap.com1, "COM1"), holdsInput: holdsSerialInput,
            output: { bytes in log.serial.withLock { $0.append(bytes) } })
        pit = PIT8254(environment, line: try line(InterruptMap.pit, "PIT"))
        rtc = CMOSRTC(environment, line: try line(InterruptMap.rtc, "RTC"), date: rigDate, memorySize: memory.size)
        power = ACPIPowerManagement(environment, line: try line(InterruptMap.sci, "SCI"), wideTimer: wideTimer)
        let keyboard = I8042(environment)
        let reset = ResetControl(environment)
        let controlA = SystemControlA(environment)
        let post = PostCodePort()
        let crtController = CRTController()
        let firmware = FirmwareConfiguration(memorySize: memory.size, processors: 3)

        let ports = bus.ports
        if let pic = interrupts.pic {
            try ports.claim(PortMap.primaryPIC, name: "primary PIC", device: pic)
            try ports.claim(PortMap.secondaryPIC, name: "secondary PIC", offset: 2, device: pic)
            try ports.claim(PortMap.edgeLevel, name: "ELCR", offset: 4, device: pic)
            try registry.register("pic", pic)
        }
        if let ioAPIC = interrupts.ioAPIC {
            try bus.mmio.claim(
                base: MMIOMap.ioAPIC, size: MMIOMap.ioAPICSize, name: "I/O APIC", sizes: .dword, device: ioAPIC)
            try registry.register("ioapic", ioAPIC)
        }
        try ports.claim(PortMap.pit, name: "PIT", device: pit)
        try ports.claim(PortMap.systemControlB, name: "system control port B", offset: 4, device: pit)
        try ports.claim(PortMap.com1, name: "COM1", device: serial)
        try ports.claim(PortMap.cmos, name: "CMOS", device: rtc)
        try ports.claim(PortMap.keyboardData, name: "i8042 data", device: keyboard)
        try ports.claim(PortMap.keyboardCommand, name: "i8042 command", offset: 4, device: keyboard)
        try ports.claim(PortMap.powerManagement, name: "ACPI", sizes: .upToDword, device: power)
        try ports.claim(PortMap.pciAddress, name: "PCI address", sizes: .dword, device: pci)
        try ports.claim(PortMap.pciData, name: "PCI data", sizes: .upToDword, offset: 4, device: pci)
        try ports.claim(PortMap.resetControl, name: "reset control", device: reset)
        try ports.claim(PortMap.systemControlA, name: "system control port A", device: controlA)
        try ports.claim(PortMap.postCode, name: "POST code", device: post)
        try ports.claim(PortMap.crtController, name: "CRT controller", device: crtController)
        try ports.claim(
            PortMap.firmwareConfiguration, name: "fw_cfg", sizes: [.byte, .word], device: firmware)
        try ports.claim(PortMap.pvpanic, name: "pvpanic", device: PVPanic(environment))
        try ports.claim(
            PortMap.exit, name: "exit", sizes: .upToDword,
            device: ExitPort(environment, status: { UInt8(truncatingIfNeeded: $0) }))
        try ports.claim(
            PortMap.debugConsole, name: "debug console",
            device: DebugConsole(output: { byte in log.debug.withLock { $0.append(byte) } }))
        try bus.mmio.reserve(base: MMIOMap.localAPIC, size: MMIOMap.localAPICSize, name: "local APICs")

        let testDevice = TestDevice(lines: try (0..<InterruptRouter.inputs).map { try line($0, "test device \($0)") })
        try testDevice.claim(on: bus)

        try registry.register("interrupts", interrupts)
        try registry.register("test-device", testDevice)
        try registry.register("serial", serial)
        try registry.register("pit", pit)
        try registry.register("cmos", rtc)
        try registry.register("acpi", power)
        try registry.register("i8042", keyboard)
        try registry.register("pci", pci)
        try registry.register("reset", reset)
        try registry.register("control-a", controlA)
        try registry.register("post", post)
        try registry.register("crt-controller", crtController)
        try registry.register("fw-cfg", firmware)
    }

    var events: [MachineEvent] { log.events.withLock { $0 } }
    var serialOutput: String { String(decoding: log.serial.withLock { $0.flatMap { $0 } }, as: UTF8.self) }

    // MARK: Accesses

    func input(_ port: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: bus.readPort(port, size: 1)) }
    func input32(_ port: UInt16) -> UInt32 { bus.readPort(port, size: 4) }
    func output(_ port: UInt16, _ values: UInt32...) {
        for value in values { bus.writePort(port, size: 1, value: value) }
    }
    func output32(_ port: UInt16, _ value: UInt32) { bus.writePort(port, size: 4, value: value) }

    /// Initialises both PICs as PC firmware and Linux do, with everything unmasked.
    func initialisePICs() {
        output(0x20, 0x11)
        output(0x21, 0x20, 0x04, 0x01)
        output(0xa0, 0x11)
        output(0xa1, 0x28, 0x02, 0x01)
        output(0x21, 0)
        output(0xa1, 0)
    }

    /// The vector that the CPU would take now.
    func acknowledge() -> UInt8? { engine.intr ? bus.acknowledgeInterrupt() : nil }

    /// Acknowledges and ends an interrupt with an unspecific EOI.
    func serve() -> UInt8? {
        guard let vector = acknowledge() else { return nil }
        if vector >= 0x28 { output(0xa0, 0x20) }
        output(0x20, 0x20)
        return vector
    }

    func cmos(_ index: UInt32) -> UInt8 {
        output(0x70, index)
        return input(0x71)
    }

    func setCMOS(_ index: UInt32, _ value: UInt32) {
        output(0x70, index)
        output(0x71, value)
    }

    func ioAPIC(_ index: UInt64) -> UInt32 {
        bus.writeMMIO(MMIOMap.ioAPIC, size: 4, value: index)
        return UInt32(truncatingIfNeeded: bus.readMMIO(MMIOMap.ioAPIC + 0x10, size: 4))
    }

    func setIOAPIC(_ index: UInt64, _ value: UInt64) {
        bus.writeMMIO(MMIOMap.ioAPIC, size: 4, value: index)
        bus.writeMMIO(MMIOMap.ioAPIC + 0x10, size: 4, value: value)
    }

    // MARK: State

    func exportStates() throws -> DeviceStates {
        try lock.withLock { () throws(DeviceStateError) in try registry.exportStates() }
    }

    func importStates(_ states: DeviceStates) throws {
        try lock.withLock { () throws(DeviceStateError) in try registry.importStates(states) }
    }
}
