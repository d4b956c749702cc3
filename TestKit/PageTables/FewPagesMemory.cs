// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.TestKit.PageTables;

/// <summary>Memory of which a limited number of allocations can be had.</summary>
internal sealed class FewPagesMemory(IPhysicalMemory inner) : IPhysicalMemory
{
    public int AllocationsLeft { get; set; } = int.MaxValue;

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) => AllocationsLeft-- > 0
        ? inner.AllocatePages(bytes, alignmentBytes)
        : OpResult<ulong>.Refuse(Errno.ENOMEM, "no allocation is left");

    public void FreePages(ulong address, int bytes) => inner.FreePages(address, bytes);

    public ulong ReadQword(ulong address) => inner.ReadQword(address);

    public uint ReadDword(ulong address) => inner.ReadDword(address);

    public void Read(ulong address, Span<byte> destination) => inner.Read(address, destination);

    public bool IsBacked(ulong address, long bytes) => inner.IsBacked(address, bytes);

    public void WriteQword(ulong address, ulong value) => inner.WriteQword(address, value);

    public void WriteDword(ulong address, uint value) => inner.WriteDword(address, value);

    public void Write(ulong address, ReadOnlySpan<byte> source) => inner.Write(address, source);

    public void Flush(ulong address, int bytes) => inner.Flush(address, bytes);

    public void StoreBarrier() => inner.StoreBarrier();
}
