// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Queues;

/// <summary>
/// The descriptors of the invalidation queue that a batch has. What depends on an earlier stage (device TLB on IOTLB on
/// PASID cache, invariant D5) stands behind a fence.
/// </summary>
internal static class InvalidationCommands
{
    // The depth of a device's invalidation queue is not known to the framework; one at a time suits every device, 0
    // would mean 32.
    private const ulong MaxInvalidationsPending = 1;

    extension(ref CommandBatch batch)
    {
        /// <summary>All configuration of one device, or of all devices.</summary>
        public void ContextCache(ulong granularity, ushort requester = 0)
        {
            Span<ulong> words = batch.Next(Invalidation.ContextCache);
            words.Set(InvContextCache.G, granularity);
            words.Set(InvContextCache.SID, requester);
        }

        /// <summary>PASID entries.</summary>
        public void PasidCache(ulong granularity, ushort domainId = 0, Pasid pasid = default)
        {
            Span<ulong> words = batch.Next(Invalidation.PasidCache);
            words.Set(InvPasidCache.G, granularity);
            words.Set(InvPasidCache.DID, domainId);
            words.Set(InvPasidCache.PASID, pasid.Value);
        }

        /// <summary>Translations of a domain id or all; requests in flight are drained.</summary>
        public void Iotlb(ulong granularity, ushort domainId = 0)
        {
            Span<ulong> words = batch.Next(Invalidation.Iotlb);
            words.Set(InvIotlb.G, granularity);
            words.Set(InvIotlb.DW, 1);
            words.Set(InvIotlb.DR, 1);
            words.Set(InvIotlb.DID, domainId);
        }

        /// <summary>All translations of one PASID.</summary>
        public void PasidIotlb(ushort domainId, Pasid pasid)
        {
            Span<ulong> words = batch.Next(Invalidation.PasidIotlb);
            words.Set(InvPasidIotlb.G, InvPasidIotlb.Pasid);
            words.Set(InvPasidIotlb.DID, domainId);
            words.Set(InvPasidIotlb.PASID, pasid.Value);
        }

        /// <summary>One block of one PASID's translations. IH stays 0: upper tables may have changed too.</summary>
        public void PasidIotlb(ushort domainId, Pasid pasid, ulong address, int addressMask)
        {
            Span<ulong> words = batch.Next(Invalidation.PasidIotlb);
            words.Set(InvPasidIotlb.G, InvPasidIotlb.Page);
            words.Set(InvPasidIotlb.DID, domainId);
            words.Set(InvPasidIotlb.PASID, pasid.Value);
            words.Set(InvPasidIotlb.AM, (ulong)addressMask);
            words.SetAddress(InvPasidIotlb.ADDR, address);
        }

        /// <summary>Everything in a device's TLB that it asked for without a PASID.</summary>
        public void DeviceTlb(ushort requester)
        {
            Span<ulong> words = batch.Next(Invalidation.DeviceTlb);
            words.Set(InvDeviceTlb.MIP, MaxInvalidationsPending);
            words.Set(InvDeviceTlb.SID, requester);
            words.Set(InvDeviceTlb.S, 1);
            words.SetAddress(InvDeviceTlb.ADDR, SizedAddress(0, InvalidationRange.WholeSpace));
        }

        /// <summary>Everything in a device's TLB that it asked for with any PASID (GI).</summary>
        public void PasidDeviceTlb(ushort requester)
        {
            Span<ulong> words = batch.Next(Invalidation.PasidDeviceTlb);
            EncodePasidDeviceTlb(words, requester, default, 0, InvalidationRange.WholeSpace);
            words.Set(InvPasidDeviceTlb.GI, 1);
        }

        /// <summary>One block of one PASID in a device's TLB.</summary>
        public void PasidDeviceTlb(
            ushort requester, Pasid pasid, ulong address = 0, int addressMask = InvalidationRange.WholeSpace)
        {
            EncodePasidDeviceTlb(batch.Next(Invalidation.PasidDeviceTlb), requester, pasid, address, addressMask);
        }

        private Span<ulong> Next(ulong type)
        {
            Span<ulong> words = batch.Add();
            words.Set(Invalidation.Type, type);
            return words;
        }
    }

    private static void EncodePasidDeviceTlb(
        Span<ulong> words, ushort requester, Pasid pasid, ulong address, int addressMask)
    {
        words.Set(InvPasidDeviceTlb.MIP, MaxInvalidationsPending);
        words.Set(InvPasidDeviceTlb.SID, requester);
        words.Set(InvPasidDeviceTlb.PASID, pasid.Value);
        words.Set(InvPasidDeviceTlb.S, addressMask > 0 ? 1u : 0);
        words.SetAddress(InvPasidDeviceTlb.ADDR, SizedAddress(address, addressMask));
    }

    // The lowest 0 bit above bit 11 gives the size: k ones from bit 12 stand for 2^(k+1) pages.
    private static ulong SizedAddress(ulong address, int addressMask) =>
        addressMask == 0 ? address : address | (((1UL << (addressMask - 1)) - 1) << 12);
}
