// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

/// <summary>Receives what happens in one replay.</summary>
internal interface IReplaySink
{
    /// <summary>A run begins.</summary>
    /// <param name="drivers">Names of the drivers in the order of their numbers in the events.</param>
    void Begin(Policy policy, IReadOnlyList<string> drivers);

    /// <summary>Something happened.</summary>
    void Add(ReplayEvent happened);

    /// <summary>Nothing more will happen to a process.</summary>
    void Ended(SimulatedAddressSpace process);
}
