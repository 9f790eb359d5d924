// Names of the modules below that belong to the public face.

import VirtualCPU

/// Counters of one vCPU, or of a VM as their sum; nil where the engine can't know.
public typealias EngineCounters = Counters

/// Kinds of events that can be traced.
public typealias TraceEvents = TraceKinds

/// Trapeze's version (semantic versioning).
public let trapezeVersion = "0.1.0"
