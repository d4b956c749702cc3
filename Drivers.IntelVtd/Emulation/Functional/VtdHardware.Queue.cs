// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <content>The invalidation queue's consumer: 256-bit descriptors. Section 6.5.2.</content>
internal partial class VtdHardware
{
    private static readonly DescriptorKind?[] s_kinds =
    [
        null,
        new(InvContextCache.Layout, InvContextCache.Check),
        new(InvIotlb.Layout, InvIotlb.Check),
        new(InvDeviceTlb.Layout, InvDeviceTlb.Check),
        null, // the interrupt entry cache: this hardware remaps no interrupts
        new(InvWait.Layout, null),
        new(InvPasidIotlb.Layout, InvPasidIotlb.Check),
        new(InvPasidCache.Layout, InvPasidCache.Check),
        new(InvPasidDeviceTlb.Layout, InvPasidDeviceTlb.Check),
        new(PageGroupResponse.Layout, PageGroupResponse.CheckResponse),
    ];

    private readonly List<Violation> _violations = [];

    /// <summary>The last descriptors that were consumed.</summary>
    internal DescriptorLog Log { get; } = new();

    /// <summary>Waits that asked for an interrupt.</summary>
    internal int CompletionInterrupts { get; private set; }

    /// <summary>A well-formed descriptor other than a wait takes effect.</summary>
    protected virtual void Invalidate(ReadOnlySpan<ulong> descriptor)
    {
        // Nothing is cached here.
    }

    /// <summary>A wait was consumed.</summary>
    /// <param name="descriptor">Its four words; the status address is memory.</param>
    protected virtual void Wait(ReadOnlySpan<ulong> descriptor)
    {
        // Everything ahead has taken effect already, so there is nothing to wait for or to hold back.
        Complete(descriptor);
    }

    /// <summary>The consumer stops for now: the queue is empty or had an error.</summary>
    protected virtual void QueueStopped()
    {
    }

    /// <summary>A wait is complete: it notifies the driver.</summary>
    protected void Complete(ReadOnlySpan<ulong> wait)
    {
        if (wait.Get(InvWait.SW) == 1)
        {
            QueueMemory.WriteDword(wait.GetAddress(InvWait.STATUS_ADDR), (uint)wait.Get(InvWait.STATUS_DATA));
        }

        if (wait.Get(InvWait.IF) == 1)
        {
            CompletionInterrupts++;
        }
    }

    private void ConsumeQueue()
    {
        if ((_gsts & GlobalCommandBits.QIE) == 0 || (_fsts & FaultStatusBits.IQE) != 0)
        {
            return;
        }

        ulong bytes = 4096UL << (int)_iqa.Get(QueueAddress.QS);
        if (_iqh == _iqt)
        {
            return;
        }

        ulong error = _iqa.Get(QueueAddress.DW) == 0 ? QueueError.BadWidth
            : _iqt >= bytes ? QueueError.TailInvalid
            : (_iqt & (Invalidation.SizeBytes - 1)) != 0 ? QueueError.TailMisaligned
            : 0;

        var ring = new DeviceRing(
            QueueMemory,
            _iqa & QueueAddress.IQA.WordMask,
            int.Log2((int)bytes / Invalidation.SizeBytes),
            Invalidation.SizeBytes);
        Span<ulong> words = stackalloc ulong[Invalidation.Words];
        while (error == 0 && _iqh != _iqt)
        {
            error = ring.TryRead((uint)(_iqh / Invalidation.SizeBytes), words)
                ? Validate(words)
                : QueueError.FetchError;

            if (error == 0)
            {
                error = Execute(words);
            }

            if (error == 0)
            {
                Log.Add(words);
                _iqh = (_iqh + Invalidation.SizeBytes) & (bytes - 1);
            }
        }

        if (error != 0)
        {
            // IQH stays at the descriptor; nothing more is fetched until software clears IQE.
            _iqercd = 0UL.With(QueueError.IQEI, error);
            _fsts |= FaultStatusBits.IQE;
        }

        QueueStopped();
    }

    private ulong Validate(ReadOnlySpan<ulong> words)
    {
        ulong type = words[0] & 0xF;
        bool scalable = _latchedRtaddr.Get(RootTableAddress.TTM) == RootTableAddress.ScalableMode;
        bool furtherTypeBits = ((words[0] >> 9) & 7) != 0;
        if (type >= (ulong)s_kinds.Length || s_kinds[type] is not { } kind || furtherTypeBits
            || (!scalable && type > Invalidation.Wait)
            || (type == Invalidation.PageGroupResponse && ExtendedCapabilities.Get(Ecap.PRS) == 0))
        {
            return QueueError.BadType;
        }

        ulong reserved = 0;
        for (int i = 0; i < Invalidation.Words; i++)
        {
            reserved |= words[i] & kind.Reserved[i];
        }

        if (type == Invalidation.Wait)
        {
            reserved |= Rules.Has(Ecap.PDS) ? 0 : words.Get(InvWait.PD);
        }

        if (IsPageSelective(type, words) && words.Get(InvPasidIotlb.AM) > Capabilities.Get(Cap.MAMV))
        {
            reserved = 1;
        }

        _violations.Clear();
        kind.Rule?.Invoke(words, _violations);
        return reserved == 0 && _violations.Count == 0 ? 0 : QueueError.ReservedField;
    }

    // AM and ADDR lie at the same place in types 2 and 6.
    private static bool IsPageSelective(ulong type, ReadOnlySpan<ulong> words) =>
        (type == Invalidation.Iotlb && words.Get(InvIotlb.G) == InvIotlb.Page)
        || (type == Invalidation.PasidIotlb && words.Get(InvPasidIotlb.G) == InvPasidIotlb.Page);

    private ulong Execute(ReadOnlySpan<ulong> words)
    {
        if ((words[0] & 0xF) != Invalidation.Wait)
        {
            Invalidate(words);
            return 0;
        }

        if (words.Get(InvWait.SW) == 1 && !QueueMemory.IsBacked(words.GetAddress(InvWait.STATUS_ADDR), 4))
        {
            return QueueError.FetchError;
        }

        Wait(words);
        return 0;
    }

    private sealed record DescriptorKind
    {
        public DescriptorKind(Layout layout, LayoutRule? rule)
        {
            Reserved = WalkRules.ReservedBits(layout);
            Rule = rule;
        }

        public ulong[] Reserved { get; }
        public LayoutRule? Rule { get; }
    }
}
