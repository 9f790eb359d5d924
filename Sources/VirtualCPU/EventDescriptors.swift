// What an engine in the kernel offers devices beyond the contract: interrupts and doorbells by eventfd(2), which pass no vCPU
// thread.

/// Where a guest's write rings a doorbell.
public enum Doorbell: Hashable, Sendable {
    /// A port.
    case port(UInt16)
    /// A guest-physical address without memory.
    case memory(UInt64)
}

/// A VM whose devices may use eventfds. Descriptors stay their owners'; they are detached before they are closed.
public protocol EventDescriptors: EngineVM {
    /// Makes each signal of an eventfd a message-signalled interrupt. Any thread.
    ///
    /// - Returns: a number for `detachInterrupt(_:number:)`.
    func attachInterrupt(_ descriptor: Int32, address: UInt64, data: UInt32) throws(EngineError) -> Int
    /// Takes that back.
    func detachInterrupt(_ descriptor: Int32, number: Int) throws(EngineError)
    /// Makes the guest's writes of `size` bytes (1, 2, 4 or 8) signal an eventfd, in place of the bus being told.
    ///
    /// - Parameter value: only writes of this value; nil for all.
    func attachDoorbell(
        _ descriptor: Int32, at place: Doorbell, size: Int, value: UInt64?
    ) throws(EngineError)
    /// Takes that back.
    func detachDoorbell(
        _ descriptor: Int32, at place: Doorbell, size: Int, value: UInt64?
    ) throws(EngineError)
}
