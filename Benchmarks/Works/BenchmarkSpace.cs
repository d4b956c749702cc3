// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Works;

/// <summary>An address space that costs nothing: it lives for ever, and its page table is an address.</summary>
internal sealed class BenchmarkSpace(int number) : IAddressSpace
{
    private const ulong FirstRoot = 0x10_0000_0000;
    public AddressSpaceId Id { get; } = new((ulong)number + 1);
    public int Pid { get; } = number + 1;
    public string Name => "benchmark";
    public ulong PageTableRoot { get; } = FirstRoot + ((ulong)number << 12);
    public bool IsAlive => true;
}
