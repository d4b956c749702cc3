namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>What the unit knows of one device.</summary>
/// <param name="Requester">PCI requester ID.</param>
/// <param name="HasDeviceTlb">Its context entry has DTE = 1: its TLB must be invalidated.</param>
/// <param name="RequestsPages">Its context entry has PRE = 1.</param>
internal sealed record VtdDevice(ushort Requester, bool HasDeviceTlb, bool RequestsPages);
