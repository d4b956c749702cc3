// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

// OASIS virtio 1.2 section 4.2.2 (registers) and 3.1.1, 2.1 (status). A register that does not exist reads as 0 and
// ignores writes.

/// <content>Registers, configuration space and the queues' consumer.</content>
internal sealed partial class VirtioIommuHardware
{
    private readonly byte[] _request = new byte[256];

    private uint ReadRegister(int offset)
    {
        DeviceQueue? queue = _queueSel < _queues.Length ? _queues[_queueSel] : null;
        return offset switch
        {
            MmioRegister.MagicValue => MmioRegister.Magic,
            MmioRegister.Version => MmioRegister.ModernVersion,
            MmioRegister.DeviceId => MmioRegister.IommuDeviceId,
            MmioRegister.DeviceFeatures => _deviceFeaturesSel < 2
                ? (uint)(OfferedFeatures >> (int)(32 * _deviceFeaturesSel))
                : 0,
            MmioRegister.QueueNumMax => queue is null ? 0 : (uint)DeviceQueue.MaxSize,
            MmioRegister.QueueReady => queue is { Ready: true } ? 1u : 0,
            MmioRegister.InterruptStatus => _interrupts,
            MmioRegister.Status => _status,
            >= MmioRegister.Config and < MmioRegister.Config + ConfigOffset.Bytes =>
                ReadConfig(offset - MmioRegister.Config),
            _ => 0,
        };
    }

    private uint ReadConfig(int offset) => offset switch
    {
        ConfigOffset.PageSizeMask => (uint)DeviceRequests.PageSizes,
        ConfigOffset.PageSizeMask + 4 => (uint)(DeviceRequests.PageSizes >> 32),
        ConfigOffset.InputRangeEnd => (uint)_options.InputLast,
        ConfigOffset.InputRangeEnd + 4 => (uint)(_options.InputLast >> 32),
        ConfigOffset.DomainRangeEnd => uint.MaxValue,
        ConfigOffset.ProbeSize => DeviceRequests.ProbeBytes,
        ConfigOffset.Bypass => _bypass ? 1u : 0,
        _ => 0,
    };

    private void WriteRegister(int offset, uint value)
    {
        DeviceQueue? queue = _queueSel < _queues.Length ? _queues[_queueSel] : null;
        switch (offset)
        {
            case MmioRegister.DeviceFeaturesSel:
                _deviceFeaturesSel = value;
                break;
            case MmioRegister.DriverFeaturesSel:
                _driverFeaturesSel = value;
                break;
            case MmioRegister.DriverFeatures when _driverFeaturesSel < 2 && (_status & DeviceStatus.FeaturesOk) == 0:
                int shift = (int)(32 * _driverFeaturesSel);
                _requests.Features = (_requests.Features & ~(0xFFFF_FFFFUL << shift)) | ((ulong)value << shift);
                break;
            case MmioRegister.DriverFeatures:
                _watcher?.ReportViolation(
                    "virtio-late-features", $"DriverFeatures is written after FEATURES_OK (virtio 1.2, 3.1.1 and 2.2)");
                break;
            case MmioRegister.QueueSel:
                _queueSel = value;
                break;
            case MmioRegister.QueueNotify:
                Notify(value);
                break;
            case MmioRegister.InterruptAck:
                _interrupts &= ~value;
                break;
            case MmioRegister.Status:
                WriteStatus(value);
                break;
            case MmioRegister.Config + ConfigOffset.Bypass when _requests.Has(FeatureBits.BypassConfig):
                _bypass = (value & 0xFF) != 0;
                break;
            default:
                if (queue is not null)
                {
                    WriteQueueRegister(queue, offset, value);
                }

                break;
        }
    }

    private void WriteQueueRegister(DeviceQueue queue, int offset, uint value)
    {
        if (offset == MmioRegister.QueueReady)
        {
            queue.Ready = (value & 1) != 0 && queue.IsValid;
            if (queue.Ready)
            {
                _watcher?.QueueReady((int)_queueSel, queue);
            }
            else if ((value & 1) != 0)
            {
                _watcher?.ReportViolation("virtio-queue-setup",
                    $"queue {_queueSel}, {queue.Size} descriptors at 0x{queue.Descriptors:x}, cannot be enabled (2.7)");
            }

            return;
        }

        // Section 4.2.2.2: a queue that is ready must not be changed.
        if (queue.Ready)
        {
            if (offset is MmioRegister.QueueNum
                or (>= MmioRegister.QueueDescLow and <= MmioRegister.QueueDeviceHigh))
            {
                _watcher?.ReportViolation("virtio-queue-register",
                    $"register 0x{offset:x} of queue {_queueSel} is written while it is ready (virtio 1.2, 4.2.2.2)");
            }

            return;
        }

        switch (offset)
        {
            case MmioRegister.QueueNum:
                queue.Size = (int)Math.Min(value, int.MaxValue);
                break;
            case MmioRegister.QueueDescLow or MmioRegister.QueueDescHigh:
                queue.Descriptors = Replace(queue.Descriptors, offset, value);
                break;
            case MmioRegister.QueueDriverLow or MmioRegister.QueueDriverHigh:
                queue.Available = Replace(queue.Available, offset, value);
                break;
            case MmioRegister.QueueDeviceLow or MmioRegister.QueueDeviceHigh:
                queue.Used = Replace(queue.Used, offset, value);
                break;
        }
    }

    private static ulong Replace(ulong address, int offset, uint value) => (offset & 4) == 0
        ? (address & ~0xFFFF_FFFFUL) | value
        : (address & 0xFFFF_FFFFUL) | ((ulong)value << 32);

    private void WriteStatus(uint value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }

        uint cleared = _status & ~value & ~DeviceStatus.NeedsReset;
        if (cleared != 0)
        {
            _watcher?.ReportViolation(
                "virtio-status", $"status bits 0x{cleared:x} are cleared without a reset (virtio 1.2, 2.1.1)");
        }

        if ((value & DeviceStatus.DriverOk) != 0 && ((value | _status) & DeviceStatus.FeaturesOk) == 0)
        {
            _watcher?.ReportViolation("virtio-status", $"DRIVER_OK is set without FEATURES_OK (virtio 1.2, 3.1.1)");
        }

        // Section 2.1: the device takes FEATURES_OK back if it cannot work with what the driver chose.
        if ((value & DeviceStatus.FeaturesOk) != 0 && (_status & DeviceStatus.FeaturesOk) == 0
            && ((_requests.Features & ~OfferedFeatures) != 0 || !_requests.Has(FeatureBits.Version1)))
        {
            _watcher?.ReportViolation("virtio-features",
                $"features 0x{_requests.Features:x} were chosen, offered are 0x{OfferedFeatures:x} "
                    + $"(virtio 1.2, 2.2.1)");
            value &= ~DeviceStatus.FeaturesOk;
        }

        _status = value | (_status & DeviceStatus.NeedsReset);
    }

    private void Reset()
    {
        (_status, _interrupts, _queueSel) = (0, 0, 0);
        (_requests.Features, _deviceFeaturesSel, _driverFeaturesSel) = (0, 0, 0);
        _domains.Clear();
        _watcher?.Reset();
        foreach (DeviceQueue queue in _queues)
        {
            queue.Reset();
        }
    }

    private void Notify(uint index)
    {
        if (index < _queues.Length && _queues[index].Ready && (_status & DeviceStatus.DriverOk) != 0)
        {
            _watcher?.Doorbell((int)index, _queues[index]);
        }
        else
        {
            _watcher?.ReportViolation("virtio-early-notify",
                $"queue {index} is notified before it is ready and DRIVER_OK is set (virtio 1.2, 3.1.1)");
        }

        // Buffers of the event queue are taken when there is an event.
        if (index == QueueIndex.Request && !IsSlow)
        {
            ServeRequests();
        }
    }

    private void ServeRequests()
    {
        const uint Working = DeviceStatus.DriverOk | DeviceStatus.FeaturesOk;
        DeviceQueue queue = _queues[QueueIndex.Request];
        if (!queue.Ready || (_status & Working) != Working)
        {
            return;
        }

        while ((_status & DeviceStatus.NeedsReset) == 0)
        {
            ChainState state = queue.TryTake();
            if (state == ChainState.Empty)
            {
                return;
            }

            if (state == ChainState.Malformed)
            {
                NeedReset(QueueIndex.Request);
                return;
            }

            int count = queue.Read(_request);
            int length = _requests.Handle(_request.AsSpan(0, count), queue.WritableBytes);
            if (length < 0)
            {
                NeedReset(QueueIndex.Request);
                return;
            }

            Remember(count, length);
            queue.Write(_requests.Answer[..length]);
            _interrupts |= queue.Return((uint)length) ? 1u : 0;
            _watcher?.Returned(QueueIndex.Request, queue.Head);
            _watcher?.Completed();
        }
    }

    private void PostEvent(ReadOnlySpan<ulong> words)
    {
        DeviceQueue queue = _queues[QueueIndex.Event];
        bool usable = queue.Ready
            && (_status & (DeviceStatus.DriverOk | DeviceStatus.NeedsReset)) == DeviceStatus.DriverOk;
        ChainState state = usable ? queue.TryTake() : ChainState.Empty;
        if (state == ChainState.Malformed)
        {
            NeedReset(QueueIndex.Event);
        }

        if (state != ChainState.Taken || queue.WritableBytes < FaultEvent.Bytes)
        {
            DroppedEvents++;
            return;
        }

        queue.Write(FaultEvent.Layout.ToBytes(words));
        _interrupts |= queue.Return(FaultEvent.Bytes) ? 1u : 0;
        _watcher?.Returned(QueueIndex.Event, queue.Head);
    }

    private void NeedReset(int index)
    {
        _watcher?.ReportViolation("virtio-chain",
            $"queue {index}: an impossible index, or a chain that loops, is not in memory or too short (2.7)");
        _status |= DeviceStatus.NeedsReset;
        _interrupts |= 2;
    }

    private void Remember(int count, int length)
    {
        Consumed++;
        if (LogCapacity <= 0)
        {
            return;
        }

        if (_log.Count >= LogCapacity)
        {
            _log.Dequeue();
        }

        _log.Enqueue(new ConsumedRequest(
            _request[..count], length == 0 ? null : _requests.Answer[length - RequestTail.Bytes]));
    }

    private sealed class RegisterFile(VirtioIommuHardware device) : IRegisterFile
    {
        public uint Read32(int offset)
        {
            using Held held = device.Hold();
            return device.ReadRegister(offset);
        }

        public ulong Read64(int offset) => Read32(offset) | ((ulong)Read32(offset + 4) << 32);

        public void Write32(int offset, uint value)
        {
            using Held held = device.Hold();
            device.WriteRegister(offset, value);
        }

        public void Write64(int offset, ulong value)
        {
            Write32(offset, (uint)value);
            Write32(offset + 4, (uint)(value >> 32));
        }
    }
}
