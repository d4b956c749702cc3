// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tests.Queues;

/// <summary>
/// A ring of two words a command and the hardware behind it: it consumes when it is asked to, and keeps what it read.
/// </summary>
internal sealed class TestRing : CommandRing
{
    public const ulong FenceWord = 0xFE;
    public const ulong ClosingWord = 0xC0;
    public const ulong BadWord = 0xBAD;
    private readonly SystemMemory _memory;
    private readonly uint _mask;
    private readonly long[] _owners;
    private readonly Lock _hardware = new();
    private uint _producer;
    private uint _consumer;
    private long _lastOwner;
    private long _failedOwner;

    private TestRing(SystemMemory memory, CommandRingShape shape, PollTimeout timeout)
        : base(memory, shape, timeout)
    {
        _memory = memory;
        _mask = shape.CanFill ? (2u << shape.SlotsLog2) - 1 : (1u << shape.SlotsLog2) - 1;
        _owners = new long[Slots];
    }

    /// <summary>Words 0 and 1 of every consumed command, in order.</summary>
    public List<(ulong Word0, ulong Word1)> Log { get; } = [];

    /// <summary>Positions that the doorbell was rung with.</summary>
    public List<uint> Doorbells { get; } = [];

    /// <summary>Whether the hardware consumes as soon as the doorbell rings.</summary>
    public bool IsEager { get; set; } = true;

    /// <summary>Whether the hardware has stopped for good.</summary>
    public bool IsBroken { get; set; }

    /// <summary>Reads of the consumer's register.</summary>
    public int Polls { get; private set; }

    public static TestRing Create(
        int log2, bool canFill = true, bool isWhole = false, int maxPolls = 1000, SystemMemory? memory = null)
    {
        memory ??= new SystemMemory();
        ulong address = memory.AllocatePages(Math.Max(4096, 16 << log2)).Value;
        return new TestRing(
            memory,
            new CommandRingShape(address, log2, 2, canFill, isWhole),
            new PollTimeout(TimeProvider.System, TimeSpan.FromDays(1), maxPolls));
    }

    /// <summary>The hardware consumes up to the doorbell, or a number of commands.</summary>
    public void Consume(int count = int.MaxValue)
    {
        lock (_hardware)
        {
            for (; count > 0 && _consumer != _producer; count--)
            {
                ulong at = Address + ((_consumer & (uint)(Slots - 1)) * 16);
                ulong word = _memory.ReadQword(at);
                if (word == BadWord)
                {
                    _failedOwner = _owners[_consumer & (uint)(Slots - 1)];
                }

                Log.Add((word, _memory.ReadQword(at + 8)));
                Volatile.Write(ref _consumer, (_consumer + 1) & _mask);
            }
        }
    }

    protected internal override void EncodeFence(Span<ulong> command) => command[0] = FenceWord;

    protected internal override void EncodeClosing(Span<ulong> command, bool drain) =>
        command[0] = ClosingWord | (drain ? 1u : 0);

    protected override void Prepare(Span<ulong> command, int slot, ref CommandTicket ticket)
    {
        ticket = ticket.Owner == 0 ? ticket with { Owner = ++_lastOwner } : ticket;
        _owners[slot] = ticket.Owner;
    }

    protected override uint ReadConsumer()
    {
        Polls++;

        // Bits beside the position, as registers have them.
        return Volatile.Read(ref _consumer) | 0x8000_0000;
    }

    protected override void Notify(long producer)
    {
        lock (_hardware)
        {
            _producer = (uint)producer & _mask;
            Doorbells.Add(_producer);
        }

        if (IsEager)
        {
            Consume();
        }
    }

    protected override OpResult ResultOf(CommandTicket ticket) => ticket.Owner == _failedOwner
        ? OpResult.Refuse(Errno.EIO, "bad command")
        : OpResult.Ok;

    protected override OpResult CheckErrors() => IsBroken ? OpResult.Refuse(Errno.EIO, "stopped") : OpResult.Ok;

    protected override OpResult TimedOut(bool isFull, int polls) =>
        OpResult.Refuse(Errno.ETIMEDOUT, isFull ? $"full after {polls}" : $"no answer after {polls}");
}
