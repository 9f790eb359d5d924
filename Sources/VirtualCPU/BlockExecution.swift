// What engines that work block by block may offer beyond the contract.

/// A vCPU that executes blocks of straight-line code.
public protocol BlockExecution: VirtualCPU {
    /// The number of instructions in the block at the current place if the engine has it at hand, else 1. Asking changes
    /// nothing, and binds to nothing: an interrupt may lead elsewhere.
    var nextBlockLength: Int { get }
}
