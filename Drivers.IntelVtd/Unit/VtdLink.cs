namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>
/// The unit's record of one link of process and domain: which devices use it. Reused through its domain's free list, so
/// that attach and detach allocate nothing once they have run.
/// </summary>
internal sealed class VtdLink
{
    private VtdDevice[] _devices = new VtdDevice[2];
    private int _count;

    /// <summary>The entry is not present and every cache has confirmed that it holds nothing of it.</summary>
    public bool IsQuiet { get; set; }

    /// <summary>Next in the free list.</summary>
    public VtdLink? Next { get; set; }

    /// <summary>The devices that are attached.</summary>
    public ReadOnlySpan<VtdDevice> Devices => _devices.AsSpan(0, _count);

    /// <summary>A device joins.</summary>
    public void Add(VtdDevice device)
    {
        if (_count == _devices.Length)
        {
            Array.Resize(ref _devices, _count * 2);
        }

        _devices[_count++] = device;
    }

    /// <summary>A device leaves.</summary>
    /// <returns>Whether it had joined.</returns>
    public bool Remove(VtdDevice device)
    {
        int index = Array.IndexOf(_devices, device, 0, _count);
        if (index < 0)
        {
            return false;
        }

        _count--;
        _devices[index] = _devices[_count];
        _devices[_count] = null!;
        return true;
    }

    /// <summary>Forgets everything.</summary>
    public void Reset()
    {
        Array.Clear(_devices, 0, _count);
        _count = 0;
        IsQuiet = false;
    }
}
