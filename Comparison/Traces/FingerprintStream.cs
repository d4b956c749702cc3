// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace PasidFramework.Comparison.Traces;

/// <summary>Passes a file through and remembers what identifies it: SHA-256, length and the last eight bytes.</summary>
internal sealed class FingerprintStream(Stream inner) : Stream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private ulong _tail;
    public long BytesRead { get; private set; }

    /// <summary>The last eight bytes that were read, as a little-endian number.</summary>
    public ulong Tail => _tail;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => BytesRead;
        set => throw new NotSupportedException();
    }

    public string Sha256() => Convert.ToHexStringLower(_hash.GetCurrentHash());
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int count = inner.Read(buffer);
        ReadOnlySpan<byte> got = buffer[..count];
        _hash.AppendData(got);
        BytesRead += count;
        if (count >= 8)
        {
            _tail = BinaryPrimitives.ReadUInt64LittleEndian(got[^8..]);
        }
        else
        {
            foreach (byte value in got)
            {
                _tail = (_tail >> 8) | ((ulong)value << 56);
            }
        }

        return count;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }
}
