// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.DriverKit.Tests.Units;

/// <summary>Memory and a command port of which the n-th request fails.</summary>
internal sealed class CommandPort : IIommuHardware
{
    private readonly FailingMemory _memory;
    private int _left = int.MaxValue;

    public CommandPort() => _memory = new FailingMemory(this);

    public List<string> Sent { get; } = [];

    /// <summary>Requests of either kind until one fails; every later one succeeds, or with <see cref="Stuck"/>
    /// none.</summary>
    public int FailAfter
    {
        set => _left = value;
    }

    public bool Stuck { get; set; }

    public bool HasFailed { get; private set; }

    public long AllocatedBytes => _memory.Inner.AllocatedBytes;

    public IPhysicalMemory Memory => _memory;

    public IRegisterFile Registers => null!;

    public bool IsCoherent => true;

    public OpResult Send(string command)
    {
        Sent.Add(command);
        return Fails() ? OpResult.Refuse(Errno.ETIMEDOUT, $"{command}: no answer") : OpResult.Ok;
    }

    public TranslationResult Translate(in DmaAccess access) => default;

    public void Dispose()
    {
    }

    private bool Fails()
    {
        bool fails = _left-- <= 0 && (Stuck || !HasFailed);
        HasFailed |= fails;
        return fails;
    }

    private sealed class FailingMemory(CommandPort port) : IPhysicalMemory
    {
        public SystemMemory Inner { get; } = new();

        public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) => port.Fails()
            ? OpResult<ulong>.Refuse(Errno.ENOMEM, "no memory")
            : Inner.AllocatePages(bytes, alignmentBytes);

        public void FreePages(ulong address, int bytes) => Inner.FreePages(address, bytes);

        public ulong ReadQword(ulong address) => Inner.ReadQword(address);

        public void WriteQword(ulong address, ulong value) => Inner.WriteQword(address, value);

        public uint ReadDword(ulong address) => Inner.ReadDword(address);

        public void WriteDword(ulong address, uint value) => Inner.WriteDword(address, value);

        public void Read(ulong address, Span<byte> destination) => Inner.Read(address, destination);

        public void Write(ulong address, ReadOnlySpan<byte> source) => Inner.Write(address, source);

        public void Flush(ulong address, int bytes) => Inner.Flush(address, bytes);

        public void StoreBarrier() => Inner.StoreBarrier();

        public bool IsBacked(ulong address, long bytes) => Inner.IsBacked(address, bytes);
    }
}
