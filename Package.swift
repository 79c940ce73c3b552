// swift-tools-version: 6.1
import PackageDescription

// All of our Swift runs on one thread; libuv's workers run C alone. So release builds count references
// without atomic instructions, and leave out the checks of exclusive access, which every debug build
// makes, and with it the tests: a quarter of the instructions of a request. Tests run side by side, on
// threads: in debug alone.
let oneThread: [SwiftSetting] = [
  .unsafeFlags(
    ["-assume-single-threaded", "-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let package = Package(
  name: "raftkvd",
  products: [
    .executable(name: "raftkvd", targets: ["raftkvd"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  ],
  targets: [
    // The only C: libuv from the system, and two things that neither it nor Swift can say, in inline
    // functions: the CRC32C instruction and fallocate.
    .systemLibrary(name: "CLibUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),

    // One module, so that the optimiser sees everything; the tidy test keeps its layers apart.
    .target(
      name: "RaftKV",
      dependencies: ["CLibUV", .product(name: "DequeModule", package: "swift-collections")],
      swiftSettings: oneThread),

    .executableTarget(
      name: "raftkvd",
      dependencies: ["RaftKV", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: oneThread),

    // Judges what clients saw, in the simulation and of real processes alike.
    .target(name: "Linearizability", path: "Tests/Linearizability"),

    // A world without I/O: simulated disk, network, clock and processes for the same code.
    .target(
      name: "Simulation", dependencies: ["RaftKV"], path: "Tests/Simulation",
      swiftSettings: oneThread),

    // Runs the simulation: one seed, or many.
    .executableTarget(
      name: "raftkv-sim", dependencies: ["Simulation"], path: "Tests/raftkv-sim",
      swiftSettings: oneThread),

    // Real processes under faults: kills, cuts, full and damaged disks.
    .executableTarget(
      name: "raftkv-chaos", dependencies: ["Linearizability"], path: "Tests/raftkv-chaos"),

    // Times the parts of a request, one by one.
    .executableTarget(
      name: "raftkv-bench", dependencies: ["RaftKV", "Simulation"], path: "Benchmarks/Micro"),

    // Judges of arbitrary input; `scripts/fuzz` drives them, the tests replay what was found.
    .target(
      name: "Fuzzers", dependencies: ["RaftKV", "Simulation"], path: "Tests/Fuzzers/Oracles"),

    .testTarget(
      name: "RaftKVTests", dependencies: ["RaftKV", "Simulation", "Linearizability", "Fuzzers"],
      exclude: ["Scripts", "Histories"]),
    .testTarget(name: "DaemonTests", dependencies: ["RaftKV"]),
  ],
  swiftLanguageModes: [.v6]
)

// Needs libFuzzer at link time, which only `scripts/fuzz` passes.
if Context.environment["RAFTKV_FUZZERS"] != nil {
  package.targets.append(
    .executableTarget(
      name: "raftkv-fuzz", dependencies: ["Fuzzers"], path: "Tests/Fuzzers/Driver"))
}
