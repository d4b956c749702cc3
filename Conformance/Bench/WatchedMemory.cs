// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Conformance.Bench;

/// <summary>
/// Stands between a driver and the memory: can refuse the n-th allocation, counts what is held, and lets a case probe
/// between any two stores.
/// </summary>
internal sealed class WatchedMemory(IPhysicalMemory inner) : IPhysicalMemory
{
    private long _held;
    private int _allocations;

    /// <summary>Called after each store, flush and barrier; null for none.</summary>
    public Action? Changed { get; set; }

    /// <summary>Number, from 1, of the allocation that is refused next; 0 for none.</summary>
    public int FailAllocation { get; set; }

    public bool Refused { get; private set; }

    /// <summary>Bytes that the driver holds.</summary>
    public long HeldBytes => Interlocked.Read(ref _held);

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        if (FailAllocation != 0 && Interlocked.Increment(ref _allocations) == FailAllocation)
        {
            Refused = true;
            return OpResult<ulong>.Refuse(Errno.ENOMEM, "no memory: the test refuses this allocation");
        }

        OpResult<ulong> made = inner.AllocatePages(bytes, alignmentBytes);
        if (made.IsOk)
        {
            Interlocked.Add(ref _held, bytes);
        }

        return made;
    }

    public void FreePages(ulong address, int bytes)
    {
        inner.FreePages(address, bytes);
        Interlocked.Add(ref _held, -bytes);
    }

    /// <summary>Counts allocations anew.</summary>
    public void Arm(int failAllocation)
    {
        FailAllocation = failAllocation;
        _allocations = 0;
        Refused = false;
    }

    public ulong ReadQword(ulong address) => inner.ReadQword(address);
    public uint ReadDword(ulong address) => inner.ReadDword(address);
    public void Read(ulong address, Span<byte> destination) => inner.Read(address, destination);
    public bool IsBacked(ulong address, long bytes) => inner.IsBacked(address, bytes);

    public void WriteQword(ulong address, ulong value)
    {
        inner.WriteQword(address, value);
        Changed?.Invoke();
    }

    public void WriteDword(ulong address, uint value)
    {
        inner.WriteDword(address, value);
        Changed?.Invoke();
    }

    // Word by word where it is observed: hardware may read in the middle of it.
    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        if (Changed is null || (address & 7) != 0 || (source.Length & 7) != 0)
        {
            inner.Write(address, source);
            Changed?.Invoke();
            return;
        }

        for (; !source.IsEmpty; source = source[8..], address += 8)
        {
            WriteQword(address, BinaryPrimitives.ReadUInt64LittleEndian(source));
        }
    }

    public void Flush(ulong address, int bytes)
    {
        inner.Flush(address, bytes);
        Changed?.Invoke();
    }

    public void StoreBarrier()
    {
        inner.StoreBarrier();
        Changed?.Invoke();
    }
}
