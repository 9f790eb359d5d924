// The device model under real threads: vCPUs on the bus, the clock's thread in the timers, input from the host.

import Foundation
import Machine
import Memory
import Synchronization
import Testing
import VirtualCPU

@Suite struct ThreadTests {
    /// Three threads and a running clock share one serial port, PIT and PIC pair; every byte arrives once and in order,
    /// and nobody waits for ever.
    @Test func busTimersAndInputTogether() throws {
        let clock = Clock(source: .host)
        let lock = DeviceLock()
        let environment = DeviceEnvironment(clock: clock, lock: lock, events: { _ in })
        let engine = RecordingEngine()
        let router = InterruptRouter()
        router.connect(engine)
        let bus = MachineBus(lock: lock, memory: try GuestMemory(size: 1 << 20), interrupts: router)
        let sent = Mutex<[UInt8]>([])
        let serial = Serial16550(environment, line: try #require(router.line(4, name: "COM1"))) { bytes in
            sent.withLock { $0 += bytes }
        }
        let pit = PIT8254(environment, line: try #require(router.line(0, name: "PIT")))
        try bus.ports.claim(PortMap.com1, name: "COM1", device: serial)
        try bus.ports.claim(PortMap.pit, name: "PIT", device: pit)
        try bus.ports.claim(PortMap.primaryPIC, name: "PIC", device: try #require(router.pic))
        for (port, value) in [(0x20, 0x12), (0x21, 0x20), (0x43, 0x34), (0x40, 0), (0x40, 4)] as [(UInt16, UInt32)] {
            bus.writePort(port, size: 1, value: value)
        }
        clock.start()
        defer { clock.stop() }

        let input = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        nonisolated(unsafe) let port = serial
        let received = Mutex<[UInt8]>([])
        let taken = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
        let done = DispatchSemaphore(value: 0)
        // Threads of their own: tasks would wait for the other tests' turns.
        func onThread(_ step: @escaping @Sendable () -> Bool) {
            Thread {
                while !isOver.load(ordering: .relaxed), step() { sched_yield() }
                done.signal()
            }.start()
        }
        onThread {
            received.withLock { bytes in
                if bus.readPort(0x3fd, size: 1) & 1 != 0 {
                    bytes.append(UInt8(truncatingIfNeeded: bus.readPort(0x3f8, size: 1)))
                }
                return bytes.count < input.count
            }
        }
        let offset = Atomic<Int>(0)
        onThread {
            let first = offset.load(ordering: .relaxed)
            let count = port.receive(Array(input[first..<min(first + 100, input.count)]))
            return offset.wrappingAdd(count, ordering: .relaxed).newValue < input.count
        }
        onThread {
            if engine.intr, bus.acknowledgeInterrupt() == 0x20 { taken.wrappingAdd(1, ordering: .relaxed) }
            bus.writePort(0x20, size: 1, value: 0x20)
            bus.writePort(0x3f8, size: 1, value: 0x2e)
            return taken.load(ordering: .relaxed) < 20
        }
        let limit = DispatchTime.now() + 60
        let ended = (0..<3).map { _ in done.wait(timeout: limit) == .success }
        isOver.store(true, ordering: .relaxed)
        #expect(ended == [true, true, true], "nobody waits for ever")
        #expect(received.withLock { $0 } == input)
        #expect(taken.load(ordering: .relaxed) == 20, "the PIT ticks")
        lock.withLock { serial.flush() }
        #expect(sent.withLock { $0.allSatisfy { $0 == 0x2e } && !$0.isEmpty })
        withExtendedLifetime(pit) {}
    }
}
