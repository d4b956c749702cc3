using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

internal enum MemoryOperation
{
    Store,
    Flush,
    Barrier,
    Register,
}

internal readonly record struct MemoryStep(MemoryOperation Operation, ulong Address, int Bytes);

/// <summary>Plain memory that writes down what was done to it, and fails an allocation when told to.</summary>
internal sealed class TestMemory : IPhysicalMemory
{
    private readonly SystemMemory _inner = new();
    private int _allocations;

    public List<MemoryStep>? Steps { get; set; }

    public int FailAllocation { get; set; } = -1;

    public int Allocations => _allocations;

    public long AllocatedBytes => _inner.AllocatedBytes;

    public void RestartCounting() => _allocations = 0;

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) =>
        _allocations++ == FailAllocation
            ? OpResult<ulong>.Refuse(Errno.ENOMEM, "the test lets this allocation fail")
            : _inner.AllocatePages(bytes, alignmentBytes);

    public void FreePages(ulong address, int bytes) => _inner.FreePages(address, bytes);

    public ulong ReadQword(ulong address) => _inner.ReadQword(address);

    public void WriteQword(ulong address, ulong value)
    {
        _inner.WriteQword(address, value);
        Steps?.Add(new MemoryStep(MemoryOperation.Store, address, 8));
    }

    public uint ReadDword(ulong address) => _inner.ReadDword(address);

    public void WriteDword(ulong address, uint value)
    {
        _inner.WriteDword(address, value);
        Steps?.Add(new MemoryStep(MemoryOperation.Store, address, 4));
    }

    public void Read(ulong address, Span<byte> destination) => _inner.Read(address, destination);

    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        _inner.Write(address, source);
        Steps?.Add(new MemoryStep(MemoryOperation.Store, address, source.Length));
    }

    public void Flush(ulong address, int bytes) => Steps?.Add(new MemoryStep(MemoryOperation.Flush, address, bytes));

    public void StoreBarrier()
    {
        _inner.StoreBarrier();
        Steps?.Add(new MemoryStep(MemoryOperation.Barrier, 0, 0));
    }

    public bool IsBacked(ulong address, long bytes) => _inner.IsBacked(address, bytes);
}
