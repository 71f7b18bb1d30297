/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_audio_codec.c - names and parameters as SDP has them, their refusals, and the map of dynamic
 * payload types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../daemon/media/audio_codec.c"

static struct audio_codec c;
static const char *why;

static int parse(const char *text)
{
	why = NULL;
	return audio_codec_parse(text, &c, &why);
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(parse("pcmu/8000"), 0);
	assert_int_equal(c.payload_type, 0);
	assert_int_equal(parse("G722/8000"), 0);
	assert_int_equal(c.rate, 16000);
	assert_int_equal(parse("L16/16000"), 0);
	assert_int_equal(c.clock, 16000);
	assert_int_equal(c.channels, 1);
	assert_int_equal(parse("l16/48000/2"), 0);
	assert_int_equal(c.channels, 2);
	assert_int_equal(parse("OPUS"), 0);
	assert_int_equal(parse("amr-wb/16000/1"), 0);
	assert_int_equal(c.rate, 16000);
	assert_int_equal(c.mode, 8);
	assert_false(c.octet_aligned);
	assert_int_equal(parse("speex/32000"), 0);
	assert_int_equal(c.frame_samples, 640);
	assert_null(audio_codec_of(4));
	assert_null(audio_codec_of(96));
}

static void parameters_of_sdp(void **state)
{
	(void)state;
	assert_int_equal(
		parse("AMR/8000;octet-align=1; mode-set=0,2,5;mode-change-capability=2; max-red=0"),
		0);
	assert_true(c.octet_aligned);
	assert_int_equal(c.mode, 5);
	assert_int_equal(parse("AMR;crc=0;robust-sorting=0;channels=1;OCTET-ALIGN=0"), 0);
	assert_false(c.octet_aligned);
	assert_int_equal(c.mode, 7);
	assert_int_equal(parse("speex/16000;vbr=on;mode=\"1,any\";ptime=20"), 0);
	assert_int_equal(parse("opus/48000/2;useinbandfec=1;stereo=0"), 0);
	assert_int_equal(parse("G729/8000;annexb=no"), 0);
}

static void refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "must be NAME" },
		{ "L16/16000/3", "rate and channels" },
		{ "PCMU/16000", "rate and channels" },
		{ "PCMU/8000/1x", "rate and channels" },
		{ "PCMU/8000/", "rate and channels" },
		{ "AMR/16000", "rate and channels" },
		{ "AMR/8000/2", "rate and channels" },
		{ "speex/44100", "rate and channels" },
		{ "PCMU;", "have parameters" },
		{ "AMR;octet-align=1;", "have parameters" },
		{ "AMR;=1", "have parameters" },
		{ "PCMU;octet-align=1", "does not have" },
		{ "AMR;octetalign=1", "does not have" },
		{ "AMR;octet-align=2", "0 or 1" },
		{ "AMR;octet-align", "0 or 1" },
		{ "AMR;mode-set=8", "mode-set" },
		{ "AMR-WB;mode-set=9", "mode-set" },
		{ "AMR;mode-set=", "mode-set" },
		{ "AMR;mode-set=1,", "mode-set" },
		{ "AMR;mode-set=12", "mode-set" },
		{ "AMR;crc=1", "CRC" },
		{ "AMR-WB;robust-sorting=1", "robust-sorting" },
		{ "AMR;interleaving=30", "interleaving" },
		{ "AMR;channels=2", "one channel" },
		{ "iLBC/8000", "no decoder" },
		{ "g723", "no decoder" },
		{ "EVS/16000", "no decoder" },
		{ "AMRX", "known NAME" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), -EINVAL);
		assert_non_null(strstr(why, rows[i].says));
	}
}

/* The text of a codec gives the same codec. */
static void there_and_back(void **state)
{
	static const struct {
		const char *text, *key;
	} rows[] = {
		{ "opus", "opus" },
		{ "AMR", "amr7" },
		{ "AMR;octet-align=1", "amr7o" },
		{ "AMR-WB;mode-set=2", "amrwb2" },
		{ "amr-wb;octet-align=1", "amrwb8o" },
		{ "speex/16000", "speex16" },
		{ "speex", "speex8" },
		{ "PCMA", "8" },
		{ "L16/16000/2", "10" },
	};
	char text[AUDIO_CODEC_TEXT], key[16];
	struct audio_codec first;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), 0);
		first = c;
		assert_string_equal(audio_codec_key(&first, key), rows[i].key);
		assert_true(strlen(key) <= 8);
		assert_int_equal(parse(audio_codec_text(&first, text)), 0);
		assert_memory_equal(&c, &first, sizeof(c));
	}
}

static void map(void **state)
{
	static struct audio_codec_map m;

	(void)state;
	assert_null(audio_codec_map_add(&m, "111=opus/48000/2"));
	assert_null(audio_codec_map_add(&m, "96=AMR"));
	assert_null(audio_codec_map_add(&m, "127=opus"));
	assert_null(audio_codec_map_add(&m, "96=AMR-WB;octet-align=1"));
	assert_int_equal(audio_codec_mapped(&m, 96)->kind, AUDIO_AMR_WB);
	assert_null(audio_codec_mapped(&m, 97));
	assert_null(audio_codec_mapped(&m, 0));
	assert_null(audio_codec_mapped(&m, 95));
	assert_null(audio_codec_mapped(&m, 128));
	assert_int_equal(audio_codec_map_types(&m, AUDIO_OPUS), 1u << 15 | 1u << 31);
	assert_non_null(strstr(audio_codec_map_add(&m, "95=opus"), "96 to 127"));
	assert_non_null(strstr(audio_codec_map_add(&m, "128=opus"), "96 to 127"));
	assert_non_null(strstr(audio_codec_map_add(&m, "=opus"), "96 to 127"));
	assert_non_null(strstr(audio_codec_map_add(&m, "96"), "96 to 127"));
	assert_non_null(strstr(audio_codec_map_add(&m, "97=iLBC"), "no decoder"));
	assert_null(audio_codec_mapped(&m, 97));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),   cmocka_unit_test(parameters_of_sdp),
		cmocka_unit_test(refused), cmocka_unit_test(there_and_back),
		cmocka_unit_test(map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
