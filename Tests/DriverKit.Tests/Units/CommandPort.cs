// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Units;

/// <summary>Memory and a command port of which the n-th request fails.</summary>
internal sealed class CommandPort : IIommuHardware
{
    private readonly FailingMemory _memory;
    private int _left = int.MaxValue;
    public CommandPort() => _memory = new FailingMemory(this, new SystemMemory());
    public List<string> Sent { get; } = [];

    /// <summary>Requests of either kind until one fails; every later one succeeds, or with <see cref="Stuck"/>
    /// none.</summary>
    public int FailAfter
    {
        set => _left = value;
    }

    public bool Stuck { get; set; }
    public bool HasFailed { get; private set; }
    public long AllocatedBytes => _memory.AllocatedBytes;
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

    private sealed class FailingMemory(CommandPort port, SystemMemory inner) : PassingMemory(inner)
    {
        public long AllocatedBytes => inner.AllocatedBytes;

        public override OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096) => port.Fails()
            ? OpResult<ulong>.Refuse(Errno.ENOMEM, "no memory")
            : base.AllocatePages(bytes, alignmentBytes);
    }
}
