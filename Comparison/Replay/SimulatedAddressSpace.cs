// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>An address space of a trace, with one page of simulated memory as its top page table.</summary>
internal sealed class SimulatedAddressSpace(AddressSpaceLife life, string tenant, ulong pageTableRoot) : IAddressSpace
{
    public const int PageTableBytes = 4096;
    private volatile bool _isAlive = true;
    public AddressSpaceLife Life { get; } = life;
    public AddressSpaceId Id => new(Life.Id);
    public int Pid => Life.Pid;
    public string Name => Life.Name;
    public ulong PageTableRoot { get; } = pageTableRoot;
    public string Tenant { get; } = tenant;
    public bool IsAlive => _isAlive;
    public void End() => _isAlive = false;
}
