// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>Passes everything on: the base of memories that do something else at one point.</summary>
/// <remarks>Stores of several words arrive here one by one.</remarks>
public abstract class PassingMemory(IPhysicalMemory inner) : IPhysicalMemory
{
    protected IPhysicalMemory Inner { get; } = inner;

    public virtual OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) =>
        Inner.AllocatePages(bytes, alignmentBytes);

    public virtual void FreePages(ulong address, int bytes) => Inner.FreePages(address, bytes);
    public ulong ReadQword(ulong address) => Inner.ReadQword(address);
    public uint ReadDword(ulong address) => Inner.ReadDword(address);
    public void Read(ulong address, Span<byte> destination) => Inner.Read(address, destination);
    public bool IsBacked(ulong address, long bytes) => Inner.IsBacked(address, bytes);
    public virtual void WriteQword(ulong address, ulong value) => Inner.WriteQword(address, value);
    public virtual void WriteDword(ulong address, uint value) => Inner.WriteDword(address, value);
    public virtual void Write(ulong address, ReadOnlySpan<byte> source) => Inner.Write(address, source);
    public virtual void Flush(ulong address, int bytes) => Inner.Flush(address, bytes);
    public virtual void StoreBarrier() => Inner.StoreBarrier();
}
