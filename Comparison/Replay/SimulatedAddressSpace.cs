// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>
/// An address space of a workload in one replay, with one page of simulated memory as its top page table from its first
/// bind on.
/// </summary>
/// <param name="ended">How it will end.</param>
internal sealed class SimulatedAddressSpace(ulong number, int pid, string name, string tenant, LifeEnd ended)
    : IAddressSpace
{
    public const int PageTableBytes = 4096;
    private volatile bool _isAlive = true;

    /// <summary>Number that is never used twice.</summary>
    public ulong Number { get; } = number;

    public AddressSpaceId Id => new(Number);
    public int Pid { get; } = pid;
    public string Name { get; } = name;
    public string Tenant { get; } = tenant;
    public LifeEnd Ended { get; } = ended;

    /// <summary>Address of the page table, 0 before the first bind.</summary>
    public ulong PageTableRoot { get; set; }

    public bool IsAlive => _isAlive;

    /// <summary>Bindings that stand, in the order in which they were made.</summary>
    public List<Binding> Bindings { get; } = [];

    public void End() => _isAlive = false;

    /// <summary>One of its bindings.</summary>
    /// <param name="Bind">Number of the bind.</param>
    /// <param name="Device">Index of the device.</param>
    internal readonly record struct Binding(int Bind, int Device, Pasid Pasid);
}
