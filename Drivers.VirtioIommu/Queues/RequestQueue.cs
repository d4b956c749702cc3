// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>Queue 0: sends requests and waits for their answers. Safe for concurrent use; a send allocates
/// nothing.</summary>
/// <remarks>A slot is a pair of descriptors and a buffer. The first descriptor covers what the driver writes, at the
/// buffer's start; the second the tail that the device writes, always the buffer's last bytes (framing is the driver's
/// choice, virtio 1.2 section 2.7.4), so that it is written once and no request can find the tail of another one. An
/// answer is taken by whoever polls, and handed to the sender through the slot's state. A slot whose sender gave up
/// stays with the device until the device returns it, so no late answer can land in somebody else's request.</remarks>
/// <param name="memory">Where it is made, in zeroed memory of <see cref="MemoryBytes"/>.</param>
/// <param name="address">First byte, page aligned.</param>
/// <param name="size">Descriptors, a power of two, at least 2.</param>
/// <param name="flush">Whether the device sees only what was flushed.</param>
/// <param name="timeout">When a request counts as lost.</param>
internal sealed class RequestQueue(
    IPhysicalMemory memory, ulong address, int size, bool flush, Action notify, PollTimeout timeout)
{
    /// <summary>Bytes of a slot's buffer: the longest request (proposal E's attach, 128 bytes).</summary>
    public const int SlotBytes = 128;

    /// <summary>Most slots that are used, whatever the device offers: one per core of a large machine is
    /// plenty.</summary>
    public const int MaxSlots = 32;

    private readonly Virtqueue _queue = new(memory, address, size, flush);
    private readonly ulong _buffers = address + (ulong)BufferOffset(size);
    private readonly SlotState[] _states = new SlotState[Slots(size)];
    private readonly uint[] _lengths = new uint[Slots(size)];
    private readonly int[] _free = [.. Enumerable.Range(0, Slots(size)).Reverse()];
    private int _freeCount = Slots(size);
    private SpinGate _gate;
    private bool _broken;
    private long _sent;

    private enum SlotState : byte
    {
        Free,
        InFlight,
        Answered,
        Abandoned,
    }

    public Virtqueue Ring => _queue;
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Slots that can be taken now; for tests.</summary>
    public int FreeSlots => Volatile.Read(ref _freeCount);

    public static int Slots(int size) => Math.Min(size / 2, MaxSlots);
    public static int MemoryBytes(int size) => BufferOffset(size) + (Slots(size) * SlotBytes);
    public ulong SlotAddress(int slot) => _buffers + (ulong)(slot * SlotBytes);
    public ulong TailAddress(int slot) => SlotAddress(slot) + SlotBytes - RequestTail.Bytes;

    /// <summary>Sends a request whose only answer is the tail.</summary>
    /// <param name="request">The words of the request, the tail's bytes included as 0.</param>
    /// <param name="driverBytes">Bytes before the tail.</param>
    public RequestStatus Send(ReadOnlySpan<ulong> request, int driverBytes)
    {
        if (!TryTakeSlot(out int slot, out RequestStatus refusal))
        {
            return refusal;
        }

        return SendSlot(slot, request, SlotAddress(slot), driverBytes, TailAddress(slot), RequestTail.Bytes);
    }

    /// <summary>Sends a request from the caller's own memory, for answers that are longer than a tail.</summary>
    /// <param name="writable">Where the device writes; the tail is its last four bytes.</param>
    /// <param name="writableBytes">Its length, at least four.</param>
    /// <returns>The status. After <see cref="RequestStatus.TimedOut"/> and <see cref="RequestStatus.Broken"/> the
    /// memory still belongs to the device.</returns>
    public RequestStatus Send(ulong readable, int readableBytes, ulong writable, int writableBytes) =>
        TryTakeSlot(out int slot, out RequestStatus refusal)
            ? SendSlot(slot, [], readable, readableBytes, writable, writableBytes)
            : refusal;

    private static int BufferOffset(int size) => (VirtqueueLayout.Bytes(size) + SlotBytes - 1) & ~(SlotBytes - 1);

    private RequestStatus SendSlot(
        int slot, ReadOnlySpan<ulong> request, ulong readable, int readableBytes, ulong writable, int writableBytes)
    {
        _gate.Enter();

        // A request tells of what was stored elsewhere, a table entry or the caller's own memory: that comes before it.
        _queue.ExpectStores();
        _queue.Store(readable, request);
        _queue.SetPair(2 * slot, readable, readableBytes, writable, writableBytes);
        _states[slot] = SlotState.InFlight;
        _queue.Offer(2 * slot);
        _queue.Publish();
        _gate.Exit();
        Interlocked.Increment(ref _sent);
        notify();
        return Wait(slot, writable, writableBytes);
    }

    private bool TryTakeSlot(out int slot, out RequestStatus refusal)
    {
        PollBudget budget = timeout.Start();
        while (true)
        {
            _gate.Enter();
            if (_freeCount == 0)
            {
                Reap();
            }

            bool broken = _broken;
            slot = !broken && _freeCount > 0 ? _free[--_freeCount] : -1;
            _gate.Exit();
            if (slot >= 0)
            {
                refusal = RequestStatus.Ok;
                return true;
            }

            if (broken || !budget.TrySpend())
            {
                refusal = broken ? RequestStatus.Broken : RequestStatus.QueueFull;
                return false;
            }
        }
    }

    private RequestStatus Wait(int slot, ulong writable, int writableBytes)
    {
        PollBudget budget = timeout.Start();
        for (bool exhausted = false; ; exhausted = !budget.TrySpend())
        {
            _gate.Enter();
            Reap();
            if (_states[slot] == SlotState.Answered)
            {
                RequestStatus status = Answer(_lengths[slot], writable, writableBytes);
                Release(slot);
                _gate.Exit();
                return status;
            }

            if (_broken || exhausted)
            {
                _states[slot] = SlotState.Abandoned;
                RequestStatus status = _broken ? RequestStatus.Broken : RequestStatus.TimedOut;
                _gate.Exit();
                return status;
            }

            _gate.Exit();
        }
    }

    // The used length of a request that the device did not recognise is 0, and then there is no status at all.
    private RequestStatus Answer(uint length, ulong writable, int writableBytes)
    {
        if (length == 0)
        {
            return RequestStatus.Unrecognised;
        }

        if (length < (uint)writableBytes)
        {
            return RequestStatus.Truncated;
        }

        ulong tail = writable + (ulong)(writableBytes - RequestTail.Bytes);
        return (RequestStatus)(memory.ReadDword(tail) & 0xFF);
    }

    private void Reap()
    {
        while (!_broken)
        {
            UsedState state = _queue.TryPop(out int head, out uint length);
            if (state == UsedState.Empty)
            {
                return;
            }

            int slot = head / 2;
            if (state == UsedState.Broken || (head & 1) != 0 || slot >= _states.Length
                || _states[slot] is SlotState.Free or SlotState.Answered)
            {
                _broken = true;
                return;
            }

            if (_states[slot] == SlotState.Abandoned)
            {
                Release(slot);
                continue;
            }

            _lengths[slot] = length;
            _states[slot] = SlotState.Answered;
        }
    }

    private void Release(int slot)
    {
        _states[slot] = SlotState.Free;
        _free[_freeCount++] = slot;
    }
}
