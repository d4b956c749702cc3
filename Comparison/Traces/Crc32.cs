namespace PasidFramework.Comparison.Traces;

/// <summary>CRC-32 as gzip stores it (RFC 1952 section 8).</summary>
/// <remarks>
/// The platform's gzip reader takes a file that ends early for a short one, so the check is made here.
/// </remarks>
internal struct Crc32
{
    private static readonly uint[] s_table = MakeTable();

    private uint _state;

    public readonly uint Value => _state;

    public void Append(ReadOnlySpan<byte> data)
    {
        uint crc = ~_state;
        foreach (byte value in data)
        {
            crc = s_table[(byte)(crc ^ value)] ^ (crc >> 8);
        }

        _state = ~crc;
    }

    private static uint[] MakeTable()
    {
        var table = new uint[256];
        for (uint n = 0; n < 256; n++)
        {
            uint c = n;
            for (int k = 0; k < 8; k++)
            {
                c = (c & 1) != 0 ? 0xEDB8_8320u ^ (c >> 1) : c >> 1;
            }

            table[n] = c;
        }

        return table;
    }
}
