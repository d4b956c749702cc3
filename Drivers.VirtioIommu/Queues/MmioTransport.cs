// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>What the device's configuration space says.</summary>
/// <param name="PageSizeMask">Bit n: pages of 2^n bytes; never 0.</param>
/// <param name="InputLast">Last byte that may be mapped.</param>
/// <param name="DomainLast">Last domain id that may be used.</param>
/// <param name="ProbeSize">Bytes of properties in the answer to PROBE; 0 where the device has no PROBE.</param>
internal readonly record struct DeviceConfig(
    ulong PageSizeMask, ulong InputFirst, ulong InputLast, uint DomainFirst, uint DomainLast, int ProbeSize)
{
    /// <summary>log2 of the smallest page, in bytes.</summary>
    public int GranuleLog2 => System.Numerics.BitOperations.TrailingZeroCount(PageSizeMask);

    /// <summary>The device's number for a domain of the core: the same one where the device's range allows
    /// it.</summary>
    /// <param name="id">The core's number, from 1.</param>
    /// <returns>The number; ENOSPC beyond the device's range.</returns>
    public OpResult<uint> DomainNumber(int id)
    {
        ulong number = Math.Max(DomainFirst, 1UL) + (ulong)(id - 1);
        return number <= DomainLast
            ? OpResult<uint>.Ok((uint)number)
            : OpResult<uint>.Refuse(Errno.ENOSPC,
                $"virtio-iommu: domain {number} is beyond the device's domain_range [{DomainFirst}, {DomainLast}]");
    }
}

/// <summary>A virtio device behind memory-mapped registers: the initialisation sequence of OASIS virtio 1.2 section
/// 3.1.1.</summary>
internal sealed class MmioTransport(IRegisterFile registers, PollTimeout timeout)
{
    /// <summary>Most properties that are accepted, in bytes; a device that asks for more is not believed.</summary>
    public const int MaxProbeBytes = 65536;

    /// <summary>Whether the device asked to be reset (it met something that it cannot carry on from).</summary>
    public bool NeedsReset => (registers.Read32(MmioRegister.Status) & DeviceStatus.NeedsReset) != 0;

    /// <returns>Success; ENODEV.</returns>
    public OpResult Identify()
    {
        uint magic = registers.Read32(MmioRegister.MagicValue);
        if (magic != MmioRegister.Magic)
        {
            return Missing($"MagicValue is 0x{magic:x}, a virtio-mmio device has 0x{MmioRegister.Magic:x}");
        }

        uint version = registers.Read32(MmioRegister.Version);
        if (version != MmioRegister.ModernVersion)
        {
            return Missing($"virtio-mmio version is {version}, this driver needs {MmioRegister.ModernVersion}");
        }

        uint device = registers.Read32(MmioRegister.DeviceId);
        return device == MmioRegister.IommuDeviceId
            ? OpResult.Ok
            : Missing($"virtio device id is {device}, an IOMMU has {MmioRegister.IommuDeviceId}");
    }

    /// <summary>Resets the device and waits until it has: then it holds no address of ours any more.</summary>
    /// <returns>Success; ETIMEDOUT.</returns>
    public OpResult Reset()
    {
        registers.Write32(MmioRegister.Status, 0);
        PollBudget budget = timeout.Start();
        do
        {
            if (registers.Read32(MmioRegister.Status) == 0)
            {
                return OpResult.Ok;
            }
        }
        while (budget.TrySpend());

        return OpResult.Refuse(
            Errno.ETIMEDOUT, "virtio-iommu: the device did not finish its reset (Status stays non-zero)");
    }

    /// <summary>ACKNOWLEDGE and DRIVER, then the features, then FEATURES_OK.</summary>
    /// <returns>Success; ENODEV.</returns>
    public OpResult Negotiate(ulong known, out ulong accepted)
    {
        accepted = 0;
        AddStatus(DeviceStatus.Acknowledge);
        AddStatus(DeviceStatus.Driver);
        ulong offered = 0;
        for (uint half = 0; half < 2; half++)
        {
            registers.Write32(MmioRegister.DeviceFeaturesSel, half);
            offered |= (ulong)registers.Read32(MmioRegister.DeviceFeatures) << (int)(32 * half);
        }

        if ((offered & FeatureBits.Version1) == 0)
        {
            return Missing(
                $"features 0x{offered:x} lack VIRTIO_F_VERSION_1 (bit 32): a legacy device is not supported");
        }

        ulong wanted = offered & (known | FeatureBits.Version1);
        for (uint half = 0; half < 2; half++)
        {
            registers.Write32(MmioRegister.DriverFeaturesSel, half);
            registers.Write32(MmioRegister.DriverFeatures, (uint)(wanted >> (int)(32 * half)));
        }

        AddStatus(DeviceStatus.FeaturesOk);
        if ((registers.Read32(MmioRegister.Status) & DeviceStatus.FeaturesOk) == 0)
        {
            return Missing($"the device refused the features 0x{wanted:x} of the 0x{offered:x} that it offers");
        }

        accepted = wanted;
        return OpResult.Ok;
    }

    /// <summary>Reads the configuration space, again if it changed meanwhile.</summary>
    /// <param name="features">The accepted features: a range that was not negotiated is unlimited.</param>
    /// <returns>The configuration; ENODEV; ETIMEDOUT.</returns>
    public OpResult<DeviceConfig> ReadConfig(ulong features)
    {
        PollBudget budget = timeout.Start();
        do
        {
            uint before = registers.Read32(MmioRegister.ConfigGeneration);
            ulong pageSizes = ReadConfig64(ConfigOffset.PageSizeMask);
            ulong inputFirst = 0;
            ulong inputLast = ulong.MaxValue;
            if ((features & FeatureBits.InputRange) != 0)
            {
                inputFirst = ReadConfig64(ConfigOffset.InputRangeStart);
                inputLast = ReadConfig64(ConfigOffset.InputRangeEnd);
            }

            uint first = 0;
            uint last = uint.MaxValue;
            if ((features & FeatureBits.DomainRange) != 0)
            {
                first = ReadConfig32(ConfigOffset.DomainRangeStart);
                last = ReadConfig32(ConfigOffset.DomainRangeEnd);
            }

            uint probe = (features & FeatureBits.Probe) != 0 ? ReadConfig32(ConfigOffset.ProbeSize) : 0;
            if (registers.Read32(MmioRegister.ConfigGeneration) != before)
            {
                continue;
            }

            if (pageSizes == 0)
            {
                return OpResult<DeviceConfig>.Refuse(Missing($"page_size_mask is 0, at least one bit must be set"));
            }

            return probe <= MaxProbeBytes
                ? OpResult<DeviceConfig>.Ok(new DeviceConfig(
                    pageSizes, inputFirst, inputLast, first, last, (int)probe))
                : OpResult<DeviceConfig>.Refuse(Missing(
                    $"probe_size is {probe} bytes, this driver accepts at most {MaxProbeBytes}"));
        }
        while (budget.TrySpend());

        return OpResult<DeviceConfig>.Refuse(
            Errno.ETIMEDOUT, "virtio-iommu: the configuration space does not stop changing (ConfigGeneration)");
    }

    /// <summary>Makes endpoints that are in no domain fault (configuration field bypass, after BYPASS_CONFIG was
    /// accepted). The three bytes behind it are reserved, so that the register's four bytes may be written at
    /// once.</summary>
    public void ForbidBypass() => registers.Write32(MmioRegister.Config + ConfigOffset.Bypass, 0);

    /// <returns>A power of two in [<paramref name="least"/>, <paramref name="most"/>]; ENODEV.</returns>
    public OpResult<int> ChooseQueueSize(int index, int least, int most)
    {
        registers.Write32(MmioRegister.QueueSel, (uint)index);
        if (registers.Read32(MmioRegister.QueueReady) != 0)
        {
            return OpResult<int>.Refuse(Missing($"queue {index} is in use after a reset"));
        }

        uint max = registers.Read32(MmioRegister.QueueNumMax);
        int size = max == 0 ? 0 : 1 << System.Numerics.BitOperations.Log2(Math.Min(max, (uint)most));
        return size >= least
            ? OpResult<int>.Ok(size)
            : OpResult<int>.Refuse(Missing($"queue {index} has {max} descriptors, this driver needs {least}"));
    }

    public void EnableQueue(int index, Virtqueue queue)
    {
        registers.Write32(MmioRegister.QueueSel, (uint)index);
        registers.Write32(MmioRegister.QueueNum, (uint)queue.Size);
        WriteAddress(MmioRegister.QueueDescLow, queue.Descriptors);
        WriteAddress(MmioRegister.QueueDriverLow, queue.Available);
        WriteAddress(MmioRegister.QueueDeviceLow, queue.Used);
        registers.Write32(MmioRegister.QueueReady, 1);
    }

    public void Start() => AddStatus(DeviceStatus.DriverOk);

    /// <summary>FAILED: the driver gives the device up (section 3.1.1); a reset follows before memory is
    /// freed.</summary>
    public void Fail() => AddStatus(DeviceStatus.Failed);

    public void Notify(int index) => registers.Write32(MmioRegister.QueueNotify, (uint)index);
    private static OpResult Missing(InvariantText why) => OpResult.Refuse(Errno.ENODEV, "virtio-iommu: " + Text(why));

    private void AddStatus(uint bit) =>
        registers.Write32(MmioRegister.Status, registers.Read32(MmioRegister.Status) | bit);

    private void WriteAddress(int lowRegister, ulong address)
    {
        registers.Write32(lowRegister, (uint)address);
        registers.Write32(lowRegister + 4, (uint)(address >> 32));
    }

    private uint ReadConfig32(int offset) => registers.Read32(MmioRegister.Config + offset);
    private ulong ReadConfig64(int offset) => ReadConfig32(offset) | ((ulong)ReadConfig32(offset + 4) << 32);
}
